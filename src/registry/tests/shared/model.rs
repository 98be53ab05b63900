//! Random commands at three nodes, one after another, against the same model that one machine is compared with. Messages to the
//! engine are lost, late and doubled, stores and query logs fail, nodes die at the worst moments: after each step all nodes and
//! what each would find on its disk must say what the model says.

use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::registry::tests::model::{
    command::{Command, Outcome, step, tick},
    op::{self, Failure, Op},
    truth::Truth,
};

/// More than the microseconds between two entries of one command.
const BETWEEN: Duration = Duration::from_millis(1);

/// A step at one of the nodes.
#[derive(Clone, Debug)]
enum Turn {
    /// The next append has this fault.
    Do(Op, Option<Fault>),
    /// Every append from now on has this fault, until the node dies with the command in doubt.
    DieInDoubt(Op, Fault),
}

fn turn() -> impl Strategy<Value = (usize, Turn)> {
    let passing =
        [Fault::RequestLost, Fault::AnswerLost, Fault::Late, Fault::Twice, Fault::Refused];
    let lasting = [Fault::RequestLost, Fault::AnswerLost, Fault::Late];
    let fault = prop::option::weighted(0.3, prop::sample::select(passing.to_vec()));
    let turn = prop_oneof![
        14 => (op::short(), fault).prop_map(|(op, fault)| Turn::Do(op, fault)),
        1 => (op::short(), prop::sample::select(lasting.to_vec()))
            .prop_map(|(op, fault)| Turn::DieInDoubt(op, fault)),
    ];
    (0..NODES, turn)
}

struct Cluster<'r> {
    engine: MemoryLog,
    runtime: &'r Runtime,
    clock: Arc<ManualClock>,
    nodes: Vec<Node>,
    /// The fault of each node's next append.
    faults: Vec<Arc<Mutex<Option<Fault>>>>,
    truth: Truth,
    checked: [usize; NODES],
}

impl<'r> Cluster<'r> {
    fn new(runtime: &'r Runtime) -> Self {
        let (engine, clock) = (begun_log(), ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let nodes = (0..NODES as u64).map(|number| {
            let with = (clock.clone(), runtime, (|log| log) as Wrap);
            Node::start(number, Arc::new(engine.handle()), begun_disk(), Vec::new(), with)
        });
        let nodes = nodes.collect();
        let faults = vec![Arc::default(); NODES];
        let (truth, checked) = (Truth::default(), [0; NODES]);
        let mut cluster = Self { engine, runtime, clock, nodes, faults, truth, checked };
        (0..NODES).for_each(|at| cluster.wire(at));
        cluster
    }

    fn wire(&mut self, at: usize) {
        self.faults[at] = Arc::default();
        let fault = self.faults[at].clone();
        self.nodes[at].log.fail_by(move |call| match call {
            Call::Append => lock(&fault).take(),
            _ => None,
        });
    }

    async fn turn(&mut self, at: usize, turn: &Turn) {
        self.clock.advance(BETWEEN);
        match turn {
            Turn::Do(op, fault) => {
                *lock(&self.faults[at]) = *fault;
                self.step(at, op, *fault).await;
                *lock(&self.faults[at]) = None;
                // What comes late finds its place taken.
                self.nodes[at].log.deliver();
            }
            Turn::DieInDoubt(Op::Do(wish) | Op::Fail(_, wish), fault) => {
                let command = wish.command(&mut self.truth, self.clock.now());
                if !matches!(command, Command::SignUp(_)) {
                    self.die_in_doubt(at, &command, *fault).await;
                }
            }
            Turn::DieInDoubt(..) => {}
        }
    }

    async fn step(&mut self, at: usize, op: &Op, fault: Option<Fault>) {
        let (registry, now) = (&self.nodes[at].bench.registry, self.clock.now());
        match op {
            // The engine refuses once: nothing is done.
            Op::Do(wish) if fault == Some(Fault::Refused) => {
                let command = wish.command(&mut self.truth, now);
                let given = command.carry_out(registry).await;
                let mut after = self.truth.clone();
                let expected = command.on(&mut after, &given, now);
                if given != Outcome::Failed(ChangeError::StoreUnwritable) {
                    assert_eq!(given, expected, "{command:?}");
                    self.truth = after;
                }
            }
            Op::Do(wish) => step(registry, &mut self.truth, wish, now).await,
            Op::Tick if fault != Some(Fault::Refused) => tick(registry, &mut self.truth, now).await,
            Op::Pass(span) => self.clock.advance(*span),
            Op::Crash => self.crash(at),
            Op::Fail(failure, wish) if fault != Some(Fault::Refused) => {
                let command = wish.command(&mut self.truth, now);
                self.fail(at, *failure, &command).await;
            }
            Op::CrashBeforeLog(wish) if fault != Some(Fault::Refused) => {
                let command = wish.command(&mut self.truth, now);
                self.nodes[at].sink.refuse_all.store(true, Ordering::SeqCst);
                self.unheard(at, &command, ChangeError::LogUnwritable).await;
                self.crash(at);
            }
            _ => {}
        }
    }

    fn crash(&mut self, at: usize) {
        self.nodes[at] = self.nodes[at].crashed(&self.engine, self.runtime);
        self.wire(at);
    }

    /// The node's store or query log fails at an entry that the shared log has: it takes effect all the same.
    async fn fail(&mut self, at: usize, failure: Failure, command: &Command) {
        let node = &self.nodes[at];
        let error = match failure {
            Failure::StoreDurable | Failure::StoreLost => {
                let mut disk = node.store.disk();
                disk.fail_next = Some(matches!(failure, Failure::StoreDurable));
                disk.reopens_failing = 1;
                ChangeError::StoreUnwritable
            }
            Failure::LogRefuses => {
                node.sink.refuse_next.store(true, Ordering::SeqCst);
                ChangeError::LogUnwritable
            }
            Failure::LogFails => {
                node.sink.fail_next.store(true, Ordering::SeqCst);
                ChangeError::LogUnwritable
            }
        };
        self.unheard(at, command, error).await;
        let node = &self.nodes[at];
        node.catches_up(&self.engine).await.expect("it recovers");
        recovered(&node.registry).await;
        let mut disk = node.store.disk();
        (disk.fail_next, disk.reopens_failing) = (None, 0);
        node.sink.refuse_next.store(false, Ordering::SeqCst);
        node.sink.fail_next.store(false, Ordering::SeqCst);
    }

    /// Carries a command out whose caller hears of `error`, if it changes anything, and which takes effect.
    async fn unheard(&mut self, at: usize, command: &Command, error: ChangeError) {
        let given = command.carry_out(&self.nodes[at].registry).await;
        let expected = command.on(&mut self.truth, &given, self.clock.now());
        if given != Outcome::Failed(error) {
            assert_eq!(given, expected, "{command:?}");
        }
    }

    /// The node gets no answer from the log, tells its caller so, and dies. Whether the command took effect is what the log says.
    async fn die_in_doubt(&mut self, at: usize, command: &Command, fault: Fault) {
        let before = self.engine.head().await.expect("it answers");
        let mut faults = vec![fault];
        self.nodes[at].log.fail_by(move |call| match call {
            Call::Append => Some(faults.pop().unwrap_or(Fault::RequestLost)),
            _ => None,
        });
        let given = command.carry_out(&self.nodes[at].registry).await;
        let mut after = self.truth.clone();
        let expected = command.on(&mut after, &given, self.clock.now());
        if given == Outcome::Failed(ChangeError::StoreUnwritable) {
            self.truth.check(&self.nodes[at].registry, self.clock.now());
            let dead = self.nodes[at].log.clone();
            self.crash(at);
            dead.set_away(false);
            dead.deliver();
            let is_there = self.engine.head().await.expect("it answers") != before;
            assert_eq!(is_there, fault != Fault::RequestLost);
            if is_there {
                self.truth = after;
            }
        } else {
            assert_eq!(given, expected, "{command:?}");
            self.truth = after;
            self.wire(at);
        }
    }

    async fn check(&mut self) {
        let now = self.clock.now();
        for (node, checked) in self.nodes.iter().zip(&mut self.checked) {
            node.catches_up(&self.engine).await.expect("nothing stands against it");
            self.truth.check(&node.registry, now);
            self.truth.clone().check_log(&node.sink, checked);
            let disk = node.store.disk().clone();
            let durable = MemoryStore::on(disk);
            assert_eq!(durable.applied().head, node.position().applied);
            let reopened = Registry::with_store(Box::new(durable), config(), self.clock.clone());
            reopened.load().expect("what is durable can be loaded");
            reopened.shared.show();
            self.truth.check(&reopened, now);
        }
        self.truth.told.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn three_nodes_agree_with_the_model(turns in prop::collection::vec(turn(), 1..40)) {
        let runtime = engine_runtime();
        let mut cluster = Cluster::new(&runtime);
        crate::registry::tests::model::block_on(async {
            for (at, turn) in &turns {
                cluster.turn(*at, turn).await;
                cluster.check().await;
            }
            check_entries(&cluster.engine, &cluster.nodes).await.expect("they agree");
        });
    }
}

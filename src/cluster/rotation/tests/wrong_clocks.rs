//! Clocks that are years off, nodes that are away, and rows that a member plants.

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestRunner};

use super::*;
use crate::cluster::key_rows::RECEIVING;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

impl Node {
    /// Plants rows as a member can that lies: the time of a key, and the key sealed as nobody can open it.
    async fn plant(&self, number: u32, made_at: Option<Timestamp>, sealed_to: &[NodeId]) {
        let sealed_to = sealed_to.to_vec();
        let plan = move |rows: &mut Rows<'_>| {
            if let Some(made_at) = made_at {
                key_rows::put_time(rows, number, made_at);
            }
            for node in &sealed_to {
                let key = key_rows::sealed_to(number, *node);
                rows.put(RowKind::EntryKey, &key, None, vec![7; 80]);
            }
            Ok::<_, ChangeError>(())
        };
        // It may be held, or find that the log has an entry which it has not applied.
        let _ = self.registry.change_rows(plan).await;
    }

    /// The number under which it writes now.
    fn used(&self) -> u32 {
        self.keys.newest().id()
    }
}

impl Cluster {
    fn nodes(&self) -> [NodeId; 2] {
        [&self.a, &self.b].map(|node| node.rotation.identity.node)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_clock_that_was_a_year_ahead_is_replaced_once_the_clock_is_right() {
    let cluster = Cluster::new().await;
    let first = cluster.a.used();
    cluster.clock.set_wall(begin().plus(YEAR));
    cluster.rounds(true).await;
    assert_eq!(cluster.a.used(), first + 1, "a year has passed, by what it knows");
    cluster.clock.set_wall(begin());
    cluster.a.registry.trust_clock();
    cluster.rounds(true).await;
    for node in [&cluster.a, &cluster.b] {
        assert_eq!(node.used(), first + 2);
        assert_eq!(node.keys.numbers(), [first + 1, first + 2]);
    }
    // One is enough, and then one a day.
    cluster.rounds(true).await;
    assert_eq!(cluster.a.used(), first + 2);
    cluster.clock.advance(DAY);
    cluster.rounds(true).await;
    assert_eq!(cluster.a.used(), first + 3);
    for _ in 0..30 {
        cluster.clock.advance(DAY);
        cluster.rounds(false).await;
    }
    assert_eq!(cluster.a.keys.numbers()[0], first + 4, "the one of the future is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_until_a_key_is_old_does_not_write_under_it() {
    let cluster = Cluster::with_retention(limits::LOG_RETENTION_MIN).await;
    let first = cluster.a.used();
    cluster.clock.advance(DAY * 2);
    cluster.rounds(false).await;
    assert_eq!(cluster.a.keys.numbers(), [first + 1], "it is old");
    cluster.settle().await;
    cluster.b.rotation.tick().await.unwrap();
    cluster.settle().await;
    assert_eq!(cluster.a.registry.log_position().stopped, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_rows_end_no_change_of_keys() {
    let cluster = Cluster::new().await;
    let (first, nodes) = (cluster.a.used(), cluster.nodes());
    for (number, made_at) in [
        (first + 9_000, None),
        (first + 9_000, Some(begin().plus(YEAR))),
        (RECEIVING - 1, Some(begin().minus(YEAR))),
        (first + 2, None),
    ] {
        cluster.b.plant(number, made_at, &nodes).await;
    }
    cluster.settle().await;
    cluster.rounds(true).await;
    assert_eq!(cluster.a.keys.numbers(), [first], "they are about no key");
    cluster.clock.advance(DAY);
    cluster.rounds(true).await;
    for node in [&cluster.a, &cluster.b] {
        assert_eq!(node.keys.numbers(), [first, first + 1]);
        assert_eq!(node.used(), first + 1);
    }
    assert!(cluster.a.sealed().iter().all(|(number, ..)| *number == first + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_key_that_nobody_can_open_is_replaced_and_all_read_what_follows() {
    let cluster = Cluster::new().await;
    let (first, nodes) = (cluster.a.used(), cluster.nodes());
    cluster.b.plant(first + 1, Some(cluster.clock.now()), &nodes).await;
    cluster.settle().await;
    for node in [&cluster.a, &cluster.b] {
        let outcome = node.rotation.tick().await;
        assert!(
            matches!(outcome, Err(RotationError::Unopened(it)) if it == first + 1),
            "{outcome:?}"
        );
    }
    cluster.clock.advance(limits::CLUSTER_KEY_PATIENCE);
    for _ in 0..4 {
        for node in [&cluster.a, &cluster.b] {
            let _ = node.rotation.tick().await;
            node.put(b"meanwhile").await;
            cluster.settle().await;
        }
    }
    cluster.rounds(true).await;
    for node in [&cluster.a, &cluster.b] {
        assert_eq!(node.keys.numbers(), [first, first + 2]);
        assert_eq!(node.used(), first + 2);
    }
}

/// What happens in a history before all clocks are right.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Time passes.
    Hours(u16),
    /// The clock of a node shows the true time and so many days.
    Clock(bool, i16),
    /// An operator says that the clock of a node is right.
    Trust(bool),
    /// One node makes rounds alone.
    Alone(bool),
    /// Both make rounds.
    Both,
    /// A node plants a row about the key with this number behind its newest one, which was made so many days ago.
    Plant(bool, u8, i16),
}

fn step() -> impl Strategy<Value = Step> {
    let days = prop_oneof![-800..800_i16, -2..3_i16];
    prop_oneof![
        (1..60_u16).prop_map(Step::Hours),
        (any::<bool>(), days.clone()).prop_map(|(b, days)| Step::Clock(b, days)),
        any::<bool>().prop_map(Step::Trust),
        any::<bool>().prop_map(Step::Alone),
        Just(Step::Both),
        (any::<bool>(), 0..4_u8, days).prop_map(|(b, more, days)| Step::Plant(b, more, days)),
    ]
}

fn moved(at: Timestamp, days: i16) -> Timestamp {
    at.moved(i64::from(days) * 24 * 3_600 * 1_000_000)
}

/// The cluster of a history, and the true time.
struct World {
    cluster: Cluster,
    clocks: [Arc<ManualClock>; 2],
    now: Timestamp,
    retention: Duration,
}

impl World {
    async fn new(retention: Duration) -> Self {
        let clocks = [ManualClock::at(begin()), ManualClock::at(begin())];
        let [a, b] = clocks.clone();
        let cluster = Cluster::with_clocks(retention, a, b).await;
        Self { cluster, clocks, now: begin(), retention }
    }

    fn node(&self, is_b: bool) -> &Node {
        if is_b { &self.cluster.b } else { &self.cluster.a }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        self.clocks.iter().for_each(|clock| clock.advance(span));
    }

    /// Rounds of these nodes, as many as a change takes. Nobody can say that all of them succeed.
    async fn rounds(&self, nodes: &[bool]) {
        for _ in 0..4 {
            for is_b in nodes {
                let _ = self.node(*is_b).rotation.tick().await;
                self.catch_up(nodes).await;
            }
        }
    }

    /// Waits until these nodes have applied what they can.
    async fn catch_up(&self, nodes: &[bool]) {
        let head = self.cluster.log.head().await.unwrap();
        for is_b in nodes {
            let registry = &self.node(*is_b).registry;
            registry.nudge(head.place);
            // One that lacks a key gets it by a round.
            let _ = timeout(Duration::from_millis(500), registry.reached(head.place)).await;
        }
    }

    async fn carry_out(&mut self, step: Step) {
        match step {
            Step::Hours(hours) => self.pass(HOUR * hours.into()),
            Step::Clock(b, days) => self.clocks[usize::from(b)].set_wall(moved(self.now, days)),
            Step::Trust(b) => self.node(b).registry.trust_clock(),
            Step::Alone(b) => self.rounds(&[b]).await,
            Step::Both => self.rounds(&[false, true]).await,
            Step::Plant(b, more, days) => {
                let node = self.node(b);
                let number = node.keys.newest_number() + u32::from(more);
                let made_at = Some(moved(self.now, days));
                node.plant(number, made_at, &self.cluster.nodes()).await;
            }
        }
    }

    /// All clocks are right from now on, and operators say so.
    async fn mend(&self) {
        self.clocks.iter().for_each(|clock| clock.set_wall(self.now));
        self.catch_up(&[false, true]).await;
        for node in [&self.cluster.a, &self.cluster.b] {
            node.registry.trust_clock();
        }
    }
}

/// From the moment at which all clocks are right, no key is used for longer than a day, and none lives longer than keys may.
async fn check(retention: Duration, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new(retention).await;
    for step in steps {
        world.carry_out(*step).await;
    }
    world.mend().await;
    world.rounds(&[false, true]).await;
    // A node that lacks a key which is gone would take the state of the other one at its next start. So one may stand still, not both.
    let head = world.cluster.log.head().await.unwrap();
    let going: Vec<_> =
        [false, true].into_iter().filter(|b| world.node(*b).registry.applied() == head).collect();
    prop_assert!(!going.is_empty(), "somebody goes on");
    if let [is_b] = going[..] {
        let other = if is_b { "a" } else { "b" };
        let removed = operators::remove_node(&world.node(is_b).registry, other).await;
        prop_assert_eq!(removed, Ok(()));
    }
    let mut first_seen = BTreeMap::new();
    let round = HOUR * 6;
    let most = limits::CLUSTER_KEY_LIFETIME + round;
    for _ in 0..=(world.retention + DAY * 2).as_secs() / round.as_secs() {
        world.rounds(&going).await;
        for node in going.iter().map(|is_b| world.node(*is_b)) {
            let numbers = node.keys.numbers();
            for number in &numbers {
                first_seen.entry(*number).or_insert(world.now);
            }
            let used = world.now.since(first_seen[&node.used()]);
            prop_assert!(used <= most, "{} is used for {:?}", node.used(), used);
            let (newest, older) = numbers.split_last().expect("there is a key");
            for number in older {
                let age = world.now.since(first_seen[number]);
                prop_assert!(
                    age < world.retention + round,
                    "{} of {:?}: {:?}",
                    number,
                    newest,
                    age
                );
            }
        }
        world.pass(round);
    }
    Ok(())
}

#[test]
fn once_all_clocks_are_right_no_key_is_used_for_longer_than_a_day_or_lives_too_long() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let config = ProptestConfig { cases: 12, max_shrink_iters: 40, ..Default::default() };
    let steps = prop::collection::vec(step(), 1..12);
    TestRunner::new(config)
        .run(&steps, |steps| runtime.block_on(check(limits::CLUSTER_KEY_AGE_MIN, &steps)))
        .unwrap();
}

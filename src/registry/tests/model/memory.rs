//! Histories on the store in memory, which fails when it is told to.

use super::{
    command::{Command, Outcome, step, step_back, tick},
    op::{Failure, Op},
    truth::Truth,
    *,
};

/// A registry and what should be true of it.
pub(super) struct Pair {
    pub(super) bench: Bench,
    pub(super) truth: Truth,
    checked: usize,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self { bench: Bench::new(), truth: Truth::default(), checked: 0 }
    }

    pub(super) async fn step(mut self, op: &Op) -> Self {
        let now = self.bench.clock.now();
        match op {
            Op::Do(wish) => step(&self.bench.registry, &mut self.truth, wish, now).await,
            Op::Tick => tick(&self.bench.registry, &mut self.truth, now).await,
            Op::Pass(span) => self.bench.clock.advance(*span),
            Op::StepBack(span) => {
                step_back(&self.bench.registry, &mut self.truth, &self.bench.clock, *span).await
            }
            Op::Crash => self.bench = self.bench.crashed(),
            Op::Fail(failure, wish) => {
                let command = wish.command(&mut self.truth, now);
                self.fail(*failure, &command, now).await;
            }
            Op::CrashBeforeLog(wish) => {
                let command = wish.command(&mut self.truth, now);
                self.crash_before_log(&command, now).await;
            }
            // These need files.
            Op::ImportStopped(_) | Op::Snapshot => {}
        }
        self
    }

    /// A command that fails at the store or the log: what it did is decided by what is durable.
    async fn fail(&mut self, failure: Failure, command: &Command, now: Timestamp) {
        let error = match failure {
            Failure::StoreDurable | Failure::StoreLost => {
                let mut disk = self.bench.store.disk();
                disk.fail_next = Some(matches!(failure, Failure::StoreDurable));
                disk.reopens_failing = 1;
                ChangeError::StoreUnwritable
            }
            Failure::LogRefuses => {
                self.bench.sink.refuse_next.store(true, Ordering::SeqCst);
                ChangeError::LogUnwritable
            }
            Failure::LogFails => {
                self.bench.sink.fail_next.store(true, Ordering::SeqCst);
                ChangeError::LogUnwritable
            }
        };
        let given = command.carry_out(&self.bench.registry).await;
        let mut after = self.truth.clone();
        let expected = command.on(&mut after, &given, now);
        let (is_told, is_changed) = (after.told != self.truth.told, after != self.truth);
        if given == Outcome::Failed(error) {
            assert!(is_changed, "{command:?} changes nothing, so nothing can fail");
            if matches!(failure, Failure::StoreLost) {
                // The writer may have recovered already, but this is never visible.
                self.truth.check(&self.bench.registry, now);
            } else {
                self.truth = after;
            }
            recovered(&self.bench.registry).await;
        } else {
            // Nothing to store, or to record.
            let meets = match error {
                ChangeError::StoreUnwritable => is_changed,
                _ => is_told,
            };
            assert!(!meets, "{command:?} did not hear that it failed but {given:?}");
            assert_eq!(given, expected, "{command:?}");
            self.truth = after;
            let mut disk = self.bench.store.disk();
            (disk.fail_next, disk.reopens_failing) = (None, 0);
            self.bench.sink.refuse_next.store(false, Ordering::SeqCst);
            self.bench.sink.fail_next.store(false, Ordering::SeqCst);
        }
    }

    async fn crash_before_log(&mut self, command: &Command, now: Timestamp) {
        self.bench.sink.refuse_all.store(true, Ordering::SeqCst);
        unheard(&self.bench.registry, &mut self.truth, command, now).await;
        let disk = self.bench.store.disk().clone();
        // The old process is dead: what it still does reaches neither the disk nor this log.
        let log = self.bench.sink.log().clone();
        let sink = Arc::new(TestSink { log: log.into(), ..TestSink::default() });
        self.bench = Bench::on(MemoryStore::on(disk), sink, self.bench.clock.clone());
    }

    /// Compares everything that can be read, and what was recorded.
    pub(super) fn check(&mut self) {
        self.truth.check(&self.bench.registry, self.bench.clock.now());
        self.truth.check_log(&self.bench.sink, &mut self.checked);
    }

    /// Compares what a registry would say that is opened from what is durable now.
    pub(super) fn check_durable(&self) {
        let durable = MemoryStore::on(self.bench.store.disk().clone());
        let clock = self.bench.clock.clone();
        let reopened = Registry::with_store(Box::new(durable), config(), clock);
        reopened.load().expect("what is durable can be loaded");
        reopened.shared.show();
        self.truth.check(&reopened, self.bench.clock.now());
    }
}

/// Carries a command out while the log refuses everything: what is durable happened, although its caller hears nothing.
pub(super) async fn unheard(
    registry: &Registry,
    truth: &mut Truth,
    command: &Command,
    now: Timestamp,
) {
    let given = command.carry_out(registry).await;
    let told = truth.told.len();
    let expected = command.on(truth, &given, now);
    if truth.told.len() == told {
        assert_eq!(given, expected, "there is nothing to record of {command:?}");
    } else {
        assert_eq!(given, Outcome::Failed(ChangeError::LogUnwritable), "{command:?}");
    }
}

/// A whole history, with every comparison after every step.
pub(super) async fn run(ops: &[Op]) {
    let mut pair = Pair::new();
    for op in ops {
        pair = pair.step(op).await;
        pair.check();
        pair.check_durable();
    }
    pair.truth.check_past(&pair.bench.registry);
}

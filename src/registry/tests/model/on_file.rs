//! Histories on the real store: files, from which a stopped registry is filled, and of which copies are made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    command::{Command, step, step_back, tick},
    import::{Arrival, piece},
    memory::unheard,
    op::Op,
    truth::Truth,
    *,
};
use crate::registry::{CopyFor, StoppedRegistry};

/// A registry on a file, and what should be true of it.
pub(super) struct OnFile {
    root: tempfile::TempDir,
    /// How many directories were made.
    made: usize,
    dir: PathBuf,
    /// None while it is stopped.
    registry: Option<Registry>,
    sink: Arc<TestSink>,
    clock: Arc<ManualClock>,
    pub(super) truth: Truth,
    checked: usize,
}

fn open(dir: &Path, sink: &Arc<TestSink>, clock: &Arc<ManualClock>) -> Registry {
    let registry = Registry::open(dir, config(), clock.clone()).expect("a crash is repaired");
    start(&registry, sink);
    registry
}

fn registry(running: &Option<Registry>) -> &Registry {
    running.as_ref().expect("it runs")
}

impl OnFile {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let (sink, clock) = (Arc::default(), ManualClock::at(FOUNDED));
        let dir = root.path().join("0");
        let registry = Some(open(&dir, &sink, &clock));
        let (made, truth, checked) = (0, Truth::default(), 0);
        Self { root, made, dir, registry, sink, clock, truth, checked }
    }

    pub(super) async fn step(mut self, op: &Op) -> Self {
        let now = self.clock.now();
        match op {
            Op::Do(wish) | Op::Fail(_, wish) => {
                step(registry(&self.registry), &mut self.truth, wish, now).await;
            }
            Op::Tick => tick(registry(&self.registry), &mut self.truth, now).await,
            Op::Pass(span) => self.clock.advance(*span),
            Op::StepBack(span) => {
                step_back(registry(&self.registry), &mut self.truth, &self.clock, *span).await
            }
            Op::Crash => self.start_from_copy(),
            Op::CrashBeforeLog(wish) => {
                let command = wish.command(&mut self.truth, now);
                self.crash_before_log(&command, now).await;
            }
            Op::ImportStopped(arrivals) => self.import_stopped(arrivals, now),
            Op::Snapshot => self.snapshot(),
        }
        self
    }

    /// A crash is a copy of the file while it is open.
    fn start_from_copy(&mut self) {
        let next = self.next_dir();
        fs::copy(self.dir.join("registry.redb"), next.join("registry.redb"))
            .expect("there is space");
        self.registry = None;
        fs::remove_dir_all(std::mem::replace(&mut self.dir, next)).expect("it was there");
        self.registry = Some(open(&self.dir, &self.sink, &self.clock));
    }

    fn next_dir(&mut self) -> PathBuf {
        self.made += 1;
        let next = self.root.path().join(self.made.to_string());
        fs::create_dir_all(&next).expect("a directory");
        next
    }

    async fn crash_before_log(&mut self, command: &Command, now: Timestamp) {
        self.sink.refuse_all.store(true, Ordering::SeqCst);
        unheard(registry(&self.registry), &mut self.truth, command, now).await;
        let log = self.sink.log().clone();
        self.sink = Arc::new(TestSink { log: log.into(), ..TestSink::default() });
        self.start_from_copy();
    }

    /// Fills the stopped registry, in pieces, and starts it again: then the log hears of it.
    fn import_stopped(&mut self, arrivals: &[Arrival], now: Timestamp) {
        let piece = piece(arrivals, &mut self.truth, now);
        self.registry = None;
        let stopped = StoppedRegistry::open(&self.dir, config(), self.clock.clone());
        let mut stopped = stopped.expect("it is stopped");
        stopped.piece_accounts = 2;
        let mut heard = 0;
        let imported =
            stopped.import(piece.clone().into_iter().map(Ok), &mut |so_far| heard = so_far);
        let imported = imported.expect("nothing stands against it");
        // Pieces of one import are told one by one, in their order, but as one set here.
        assert_eq!(imported, self.truth.import(&piece, now), "{piece:?}");
        assert_eq!(heard, imported.accounts + imported.accounts_kept);
        let counts = stopped.counts(now).expect("it can be read");
        assert_eq!(counts.devices, self.truth.devices.len() as u64);
        let mut held = 0;
        let exported = stopped.export(&mut |account| {
            held += account.claims.len();
            true
        });
        exported.expect("it can be read");
        assert_eq!(held, self.truth.claims.len());
        drop(stopped);
        self.registry = Some(open(&self.dir, &self.sink, &self.clock));
    }

    /// A copy made at this moment says what the original says.
    fn snapshot(&mut self) {
        let dir = self.next_dir();
        registry(&self.registry)
            .snapshot(&dir.join("registry.redb"), CopyFor::Backup)
            .expect("there is space");
        let copy = Registry::open(&dir, config(), self.clock.clone()).expect("it is whole");
        copy.load().expect("what was copied can be loaded");
        copy.shared.show();
        self.truth.check(&copy, self.clock.now());
        drop(copy);
        fs::remove_dir_all(dir).expect("it was there");
    }

    pub(super) fn check(&mut self) {
        self.truth.check(registry(&self.registry), self.clock.now());
        self.truth.check_log(&self.sink, &mut self.checked);
    }
}

/// A whole history, with every comparison after every step.
pub(super) async fn run(ops: &[Op]) {
    let mut on_file = OnFile::new();
    for op in ops {
        on_file = on_file.step(op).await;
        on_file.check();
    }
}

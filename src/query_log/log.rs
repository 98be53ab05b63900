//! The log as its writers hold it: append, and be told when it is there.

use std::{
    borrow::Borrow,
    fmt,
    future::{Future, poll_fn},
    path::PathBuf,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use super::{
    config::{Config, Durability},
    engine::{CommitThread, LogState},
    frames::{
        append_ack::{AppendAck, AppendError},
        committer::Committer,
        flusher::{self, Signal},
        pending::Pending,
        segment_file::SegmentMaker,
        wakeup::Wakeup,
    },
    log_clock::LogClock,
    reader::LogReader,
    record::Record,
    recovery::{self, OpenError, RecoveryReport},
    retention::{Retention, RetentionOutcome},
    sealer::{SealOutcome, Sealer},
};
use crate::{
    clock::SharedClock,
    envelope::{KeyFiles, Keyring},
    files::{OsDisk, SharedDisk},
    shutdown::Shutdown,
};

/// Tells the logs of one process apart, for the flushers of its threads.
static NEXT_LOG: AtomicU64 = AtomicU64::new(0);

/// What a log is opened with.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The directory of the segments.
    pub dir: PathBuf,
    /// Where the keys lie.
    pub keys: KeyFiles,
    /// What the operator set.
    pub config: Config,
    /// Where time comes from.
    pub clock: SharedClock,
    /// What changes files.
    pub disk: SharedDisk,
}

impl LogOptions {
    /// A log in `dir` with its keys in `keys`, on the machine's own disk.
    #[must_use]
    pub fn new(dir: PathBuf, keys: KeyFiles, config: Config, clock: SharedClock) -> Self {
        Self { dir, keys, config, clock, disk: OsDisk::shared() }
    }
}

/// The log, open for writing. Cheap to clone.
#[derive(Clone)]
pub struct QueryLog {
    shared: Arc<LogState>,
    /// Ends the commit thread when the last clone goes.
    thread: Arc<CommitThread>,
}

impl QueryLog {
    /// Opens the log: locks its directory, opens the keys, repairs what the last process left unfinished. A crash of its
    /// own thread stops the service through `shutdown`.
    ///
    /// # Errors
    /// If somebody else writes there, the keys are not in order, or a file cannot be read. Damage is no error: it is in
    /// the report.
    pub fn open(
        options: LogOptions,
        shutdown: &Shutdown,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let LogOptions { dir, keys, config, clock, disk } = options;
        let recovered = recovery::open(&dir, keys, &disk, clock.now(), config.retention)?;
        let (catalog, keyring) = (Arc::new(recovered.catalog), Arc::new(recovered.keyring));
        let retention = Retention::new(&*clock, config.retention, Arc::clone(&disk));
        let maker = SegmentMaker {
            disk: Arc::clone(&disk),
            keyring: Arc::clone(&keyring),
            catalog: Arc::clone(&catalog),
            durability: config.durability,
        };
        let wakeup = Arc::new(Wakeup::default());
        let own_from = catalog.next_ordinal();
        let time = LogClock::after(recovered.last);
        let shared = Arc::new(LogState {
            id: NEXT_LOG.fetch_add(1, Ordering::Relaxed),
            pending: Mutex::new(Pending::new(time, Arc::clone(&wakeup))),
            committer: Mutex::new(Committer::new(maker)),
            writable: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            wakeup,
            clock,
            catalog,
            keyring,
            config,
            retention: Mutex::new(retention),
            sealer: Mutex::new(Sealer::new(recovered.tip)),
            own_from,
            disk,
            directory: recovered.lock,
        });
        let thread = CommitThread::start(&shared, shutdown.clone()).map_err(OpenError::Thread)?;
        Ok((Self { shared, thread: Arc::new(thread) }, recovered.report))
    }

    /// Hands a record over. It is in the log when the ticket says so, and no answer may leave before.
    ///
    /// # Errors
    /// If too much waits, or the log cannot be written. Then there is no answer either.
    pub fn append(&self, record: &Record) -> Result<AppendAck, AppendError> {
        self.append_all([record])
    }

    /// Hands records over that belong together: all of them or none, next to each other, in one commit. The iterator
    /// runs in the log's critical section, so it must not wait for anything.
    ///
    /// # Errors
    /// As [`QueryLog::append`].
    pub fn append_all<R: Borrow<Record>>(
        &self,
        records: impl IntoIterator<Item = R, IntoIter: ExactSizeIterator>,
    ) -> Result<AppendAck, AppendError> {
        let records = records.into_iter();
        let ticket = self.shared.pending().append(&*self.shared.clock, records)?;
        self.shared.ask_commit();
        Ok(ticket)
    }

    /// Whether records are taken at present.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Acquire)
    }

    /// Has what this thread's requests append committed, on this thread in `os` mode: to be spawned once on each
    /// current-thread runtime that serves. Ends at the soft stop; the log's own thread looks after everything from then
    /// on.
    pub async fn run_inline_flusher(self, shutdown: Shutdown) {
        let flusher = InlineFlusher { shared: &self.shared, signal: Arc::default() };
        let mut stopping = pin!(shutdown.stopping());
        let mut adopted = false;
        loop {
            let asked = poll_fn(|context| {
                if !adopted {
                    flusher::adopt(self.shared.id, &flusher.signal);
                    adopted = true;
                }
                if stopping.as_mut().poll(context).is_ready() {
                    return Poll::Ready(false);
                }
                flusher.signal.poll_asked(context).map(|()| true)
            });
            if !asked.await {
                return;
            }
            // Everything that is ready in this turn of the runtime joins the commit.
            tokio::task::yield_now().await;
            match self.shared.config.durability {
                Durability::Os => {
                    self.shared.commit_pending();
                }
                Durability::Disk => self.shared.wakeup.ring(),
            }
        }
    }

    /// Commits what waits, on this thread. The log's own threads do so by themselves.
    pub fn commit_pending(&self) {
        while self.shared.commit_pending() {}
    }

    /// The reading side.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        let shared = &self.shared;
        LogReader::new(
            Arc::clone(&shared.catalog),
            Arc::clone(&shared.keyring),
            Arc::clone(&shared.clock),
            shared.config.retention,
        )
    }

    /// The keys of the hours, for what must be forgotten with the log.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.shared.keyring)
    }

    /// Destroys what has expired, and ends the active segment if its hour has passed. To be called every minute or so;
    /// calling it again is harmless.
    pub fn tick(&self) -> RetentionOutcome {
        let shared = &self.shared;
        shared.end_past_hour();
        let mut retention = shared.retention();
        let end_hours = |due: &[_]| {
            shared.end_active_if(|hour| due.contains(&hour));
        };
        retention.tick(&*shared.clock, &shared.keyring, &shared.catalog, end_hours)
    }

    /// Seals every finished segment that is not sealed yet: minutes of work after a busy hour, so on a thread of low
    /// priority. Ends early, with nothing half done, when `stop` says so. Only one round runs at a time.
    pub fn seal(&self, stop: &dyn Fn() -> bool) -> SealOutcome {
        self.shared.seal(stop)
    }

    /// Commits what waits, ends the active segment, and takes nothing more.
    pub fn close(&self) {
        self.shared.pending().close();
        self.shared.writable.store(false, Ordering::Release);
        self.thread.stop();
        self.commit_pending();
        self.shared.end_active_if(|_| true);
    }

    /// As a crash would: nothing is committed or finished. The directory's lock is given up when the last clone goes.
    #[cfg(test)]
    pub(super) fn abandon(self) {
        self.shared.pending().close();
        self.shared.pending().refuse().resolve(false);
        self.thread.stop();
        self.shared.committer().forget();
    }

    /// Tries a fresh segment now instead of after the pause.
    #[cfg(test)]
    pub(super) fn revive_now(&self) {
        self.shared.revive();
    }
}

struct InlineFlusher<'a> {
    shared: &'a LogState,
    signal: Arc<Signal>,
}

impl Drop for InlineFlusher<'_> {
    fn drop(&mut self) {
        self.signal.close();
        // What it was asked for and has not done.
        self.shared.wakeup.ring();
    }
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLog").field("writable", &self.is_writable()).finish_non_exhaustive()
    }
}

//! The log as its writers hold it: append, and be told when it is there.

use std::{
    borrow::Borrow,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    alarm::Alarm,
    catalog::Catalog,
    committer::Committer,
    config::{Config, Durability},
    flusher::{self, Signal},
    log_time::LogTime,
    pending::Pending,
    reader::LogReader,
    record::Record,
    recovery::{self, OpenError, RecoveryReport},
    retention::{Retention, RetentionOutcome},
    segment_file::{SegmentMaker, WriteError},
    ticket::{AppendError, Batch, Ticket},
};
use crate::{
    clock::SharedClock,
    envelope::{DirectoryLock, KeyFiles, Keyring, OsDisk, SharedDisk},
    limits,
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
        Self {
            dir,
            keys,
            config,
            clock,
            disk: OsDisk::shared(),
        }
    }
}

/// The log, open for writing. Cheap to clone.
#[derive(Clone)]
pub struct QueryLog {
    shared: Arc<Shared>,
    /// Ends the commit thread when the last clone goes.
    thread: Arc<CommitThread>,
}

pub(super) struct Shared {
    id: u64,
    pending: Mutex<Pending>,
    /// Taken before `pending`, and held for a whole commit: batches get into the file in the order of their records.
    committer: Mutex<Committer>,
    writable: AtomicBool,
    stopping: AtomicBool,
    alarm: Arc<Alarm>,
    clock: SharedClock,
    pub(super) catalog: Arc<Catalog>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) config: Config,
    retention: Mutex<Retention>,
    _lock: DirectoryLock,
}

struct CommitThread {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        let LogOptions {
            dir,
            keys,
            config,
            clock,
            disk,
        } = options;
        let recovered = recovery::open(&dir, keys, &disk, clock.now(), config.retention)?;
        let (catalog, keyring) = (Arc::new(recovered.catalog), Arc::new(recovered.keyring));
        let retention = Retention::new(&*clock, config.retention, Arc::clone(&disk));
        let maker = SegmentMaker {
            disk,
            keyring: Arc::clone(&keyring),
            catalog: Arc::clone(&catalog),
            durability: config.durability,
        };
        let alarm = Arc::new(Alarm::default());
        let time = LogTime::after(recovered.last);
        let shared = Arc::new(Shared {
            id: NEXT_LOG.fetch_add(1, Ordering::Relaxed),
            pending: Mutex::new(Pending::new(time, Arc::clone(&alarm))),
            committer: Mutex::new(Committer::new(maker)),
            writable: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            alarm,
            clock,
            catalog,
            keyring,
            config,
            retention: Mutex::new(retention),
            _lock: recovered.lock,
        });
        let thread = CommitThread::start(&shared, shutdown.clone()).map_err(OpenError::Thread)?;
        Ok((
            Self {
                shared,
                thread: Arc::new(thread),
            },
            recovered.report,
        ))
    }

    /// Hands a record over. It is in the log when the ticket says so, and no answer may leave before.
    ///
    /// # Errors
    /// If too much waits, or the log cannot be written. Then there is no answer either.
    pub fn append(&self, record: &Record) -> Result<Ticket, AppendError> {
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
    ) -> Result<Ticket, AppendError> {
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

    /// Commits what this thread's requests append, on this thread: to be spawned once on each current-thread runtime
    /// that serves, in `os` mode (in `disk` mode it does nothing: a sync would stop the thread). Ends at the soft stop;
    /// appends are committed by the log's own thread from then on.
    pub async fn run_inline_flusher(self, shutdown: Shutdown) {
        if self.shared.config.durability == Durability::Disk {
            return;
        }
        let flusher = InlineFlusher {
            shared: &self.shared,
            signal: Arc::default(),
        };
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
            self.shared.commit_pending();
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

    /// Destroys what has expired, and ends the active segment if its hour has passed. To be called every minute or so;
    /// calling it again is harmless.
    pub fn tick(&self) -> RetentionOutcome {
        let shared = &self.shared;
        shared.end_past_hour();
        let mut retention = shared
            .retention
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let end_hours = |due: &[_]| {
            shared.end_active_if(|hour| due.contains(&hour));
        };
        retention.tick(&*shared.clock, &shared.keyring, &shared.catalog, end_hours)
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

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn ask_commit(&self) {
        let inline = self.config.durability == Durability::Os && flusher::ask_here(self.id);
        if !inline {
            self.alarm.ring();
        }
    }

    /// One commit. False if nothing waited.
    fn commit_pending(&self) -> bool {
        let mut committer = self.committer();
        let Some(batch) = self.pending().take(&mut committer.taken) else {
            return false;
        };
        // Resolved whatever happens, even a panic: nobody waits for ever.
        let mut batch = Unresolved {
            batch,
            committed: false,
        };
        match committer.write(self.clock.now()) {
            Ok(()) => batch.committed = true,
            Err(error) => self.poison(&error),
        }
        drop(committer);
        true
    }

    /// After an error: nothing more is taken, who waits is told, and the commit thread tries again later.
    fn poison(&self, error: &WriteError) {
        self.writable.store(false, Ordering::Release);
        let waiting = self.pending().refuse();
        waiting.resolve(false);
        tracing::error!(%error, "the log cannot be written; look-ups are refused until it can");
        self.alarm.ring();
    }

    /// Tries a fresh segment after an error.
    fn revive(&self) {
        let mut committer = self.committer();
        let (closed, hour) = {
            let pending = self.pending();
            (
                pending.is_closed() || pending.is_accepting(),
                pending.now(&*self.clock).hour(),
            )
        };
        if closed {
            return;
        }
        match committer.revive(hour, self.clock.now()) {
            Ok(()) => {
                self.pending().accept();
                self.writable.store(true, Ordering::Release);
                tracing::info!("the log can be written again");
            }
            Err(error) => tracing::debug!(%error, "the log still cannot be written"),
        }
    }

    fn end_past_hour(&self) {
        let now = self.clock.now();
        let log_hour = self.pending().now(&*self.clock).hour();
        self.end_active_if(|hour| hour.end() <= now && hour != log_hour);
    }

    fn end_active_if(&self, is_due: impl Fn(crate::clock::Hour) -> bool) {
        let mut committer = self.committer();
        if committer.active_hour().is_some_and(is_due)
            && let Err(error) = committer.finish()
        {
            self.poison(&error);
        }
    }

    fn run_commits(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            if self.writable.load(Ordering::Acquire) {
                self.alarm.wait(None);
                while self.commit_pending() {}
            } else {
                self.pause();
                self.revive();
            }
        }
    }

    /// Waits out the pause before a retry, but not when asked to stop.
    fn pause(&self) {
        let step = Duration::from_millis(50);
        let mut left = limits::LOG_RETRY_PAUSE;
        while !self.stopping.load(Ordering::Acquire) && !left.is_zero() {
            thread::sleep(step.min(left));
            left = left.saturating_sub(step);
        }
    }
}

impl CommitThread {
    fn start(shared: &Arc<Shared>, shutdown: Shutdown) -> std::io::Result<Self> {
        let worker = Arc::clone(shared);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| worker.run_commits())).is_err() {
                worker.writable.store(false, Ordering::Release);
                worker.pending().close();
                worker.pending().refuse().resolve(false);
                shutdown.crashed("query log");
            }
        };
        let thread = thread::Builder::new().name("query-log".into()).spawn(run)?;
        Ok(Self {
            shared: Arc::clone(shared),
            thread: Mutex::new(Some(thread)),
        })
    }

    fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.alarm.ring();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // It catches its own panics; there is nothing else to hear from it.
        thread.map(JoinHandle::join);
    }
}

impl Drop for CommitThread {
    fn drop(&mut self) {
        self.stop();
        let mut pending = self.shared.pending();
        pending.close();
        // Without a close this is as good as a crash, but nobody may wait for ever.
        pending.refuse().resolve(false);
    }
}

struct Unresolved {
    batch: Arc<Batch>,
    committed: bool,
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        self.batch.resolve(self.committed);
    }
}

struct InlineFlusher<'a> {
    shared: &'a Shared,
    signal: Arc<Signal>,
}

impl Drop for InlineFlusher<'_> {
    fn drop(&mut self) {
        self.signal.close();
        // What it was asked for and has not done.
        self.shared.alarm.ring();
    }
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLog")
            .field("writable", &self.is_writable())
            .finish_non_exhaustive()
    }
}

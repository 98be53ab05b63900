//! The writing side of the log: append records and wait until they are durable.

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
    copies::{Copies, CopyFigures, CopyOptions},
    durations::LogDurations,
    engine::{LogState, LogThreads},
    frames::{
        append_ack::{AppendAck, AppendError},
        committer::Committer,
        flusher::{self, Signal, Wakeup},
        pending::Pending,
        segment_file::SegmentMaker,
    },
    log_clock::LogClock,
    reader::LogReader,
    record::Record,
    recovery::{self, OpenError, RecoveryReport},
    retention::{self, RetentionOutcome},
    sealer::{SealOutcome, SealerState},
};
use crate::{
    clock::{SharedClock, Timestamp},
    envelope::{KeyFiles, Keyring},
    files::{OsDisk, SharedDisk},
    lock::lock,
    shutdown::Shutdown,
};

/// Numbers the logs of one process, so that a thread's flusher knows which log it serves.
static NEXT_LOG: AtomicU64 = AtomicU64::new(0);

/// How to open a log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The directory of the segments; created with mode 0700 if it does not exist.
    pub dir: PathBuf,
    /// The keyring and the root key.
    pub keys: KeyFiles,
    /// The section `log` of the configuration.
    pub config: Config,
    /// Trusted time and the boot clock.
    pub clock: SharedClock,
    /// Performs every change of the log's files; tests replace it.
    pub disk: SharedDisk,
    /// Performs every change of the keys' files, and the repair of the log at the start, also when the disk is full.
    pub keys_disk: SharedDisk,
    /// Free space in bytes below which the log takes no records; at most a twentieth of the disk.
    pub disk_reserve: u64,
    /// Where copies go, if anywhere.
    pub copies: Option<CopyOptions>,
}

impl LogOptions {
    /// A log in `dir` with its keys in `keys`, on the operating system's disk.
    pub fn new(dir: PathBuf, keys: KeyFiles, config: Config, clock: SharedClock) -> Self {
        let (disk, keys_disk) = (OsDisk::shared(), OsDisk::shared());
        Self { dir, keys, config, clock, disk, keys_disk, disk_reserve: 0, copies: None }
    }
}

/// The log, open for writing. Clones share it.
#[derive(Clone)]
pub struct QueryLog {
    pub(super) shared: Arc<LogState>,
    /// Dropping the last clone stops the log's threads.
    pub(super) threads: Arc<LogThreads>,
    pub(super) durations: Arc<LogDurations>,
    copies: Option<Arc<Copies>>,
}

impl QueryLog {
    /// Opens the log: locks its directory, opens the keys, finishes what the last process left unfinished. A panic of the
    /// commit thread stops the service through `shutdown`. Damage is no error; the report lists it.
    pub fn open(
        options: LogOptions,
        shutdown: &Shutdown,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let LogOptions { dir, keys, config, clock, disk, keys_disk, disk_reserve, copies } =
            options;
        let copies = copies.map(|options| Arc::new(Copies::new(options, clock.boot())));
        let recovered = recovery::open(&dir, keys, &keys_disk, clock, config.retention)?;
        let sources = recovered.sources;
        let durations = Arc::<LogDurations>::default();
        let maker = SegmentMaker {
            disk: Arc::clone(&disk),
            keyring: Arc::clone(&sources.keyring),
            catalog: Arc::clone(&sources.catalog),
            durability: config.durability,
            durations: Arc::clone(&durations),
        };
        let wakeup = Arc::new(Wakeup::default());
        let first_own_ordinal = sources.catalog.next_ordinal();
        let time = LogClock::after(recovered.last, recovered.era);
        let shared = Arc::new(LogState {
            id: NEXT_LOG.fetch_add(1, Ordering::Relaxed),
            pending: Mutex::new(Pending::new(time, Arc::clone(&wakeup))),
            committer: Mutex::new(Committer::new(maker)),
            in_commit: Mutex::default(),
            oldest: Mutex::default(),
            writable: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            wakeup,
            sources,
            durability: config.durability,
            retention: Mutex::new(()),
            sealer: Mutex::new(SealerState::new(recovered.tip)),
            first_own_ordinal,
            disk,
            disk_reserve,
            directory: recovered.lock,
        });
        let threads = LogThreads::start(&shared, shutdown.clone()).map_err(OpenError::Thread)?;
        Ok((Self { shared, threads: Arc::new(threads), durations, copies }, recovered.report))
    }

    /// Appends a record. No answer may leave before the acknowledgement resolves, and none after an error.
    pub fn append(&self, record: &Record) -> Result<AppendAck, AppendError> {
        self.append_all([record])
    }

    /// Appends records that belong together: all or none, next to each other, in one commit. The iterator runs in the
    /// log's critical section, so it must not block.
    pub fn append_all<R: Borrow<Record>>(
        &self,
        records: impl IntoIterator<Item = R, IntoIter: ExactSizeIterator>,
    ) -> Result<AppendAck, AppendError> {
        let records = records.into_iter();
        let ack = lock(&self.shared.pending).append(&*self.shared.sources.clock, records)?;
        self.shared.request_commit();
        Ok(ack)
    }

    /// No record of this era that is appended from now on has an earlier instant than `floor`: what was decided then is visible. A floor
    /// that is far ahead of trusted time does not count.
    pub fn not_before(&self, floor: Timestamp) {
        lock(&self.shared.pending).not_before(floor, &*self.shared.sources.clock);
    }

    /// Whether the log accepts records now.
    pub fn is_writable(&self) -> bool {
        self.shared.is_writable()
    }

    /// Commits the records of this thread's requests: on this thread in `os` mode, on the commit thread in `disk` mode.
    /// Spawn it once on each serving current-thread runtime. It ends at the soft stop; from then on the commit thread
    /// commits everything.
    pub async fn run_inline_flusher(self, shutdown: Shutdown) {
        let flusher = InlineFlusher { shared: &self.shared, signal: Arc::default() };
        let mut stopping = pin!(shutdown.stopping());
        let mut registered = false;
        loop {
            let requested = poll_fn(|context| {
                if !registered {
                    flusher::register(self.shared.id, &flusher.signal);
                    registered = true;
                }
                if stopping.as_mut().poll(context).is_ready() {
                    return Poll::Ready(false);
                }
                flusher.signal.poll_requested(context).map(|()| true)
            });
            if !requested.await {
                return;
            }
            // Every request that is ready in this turn of the runtime joins the commit.
            tokio::task::yield_now().await;
            match self.shared.durability {
                Durability::Os => self.shared.commit_pending_inline(),
                Durability::Disk => self.shared.wakeup.notify(),
            }
        }
    }

    /// Commits the pending records on this thread. The log's own threads do so without being called.
    pub fn commit_pending(&self) {
        while self.shared.commit_pending() {}
    }

    /// A reader that sees every committed record.
    pub fn reader(&self) -> LogReader {
        LogReader { sources: self.shared.sources.clone(), copies: self.copies.clone() }
    }

    /// The keyring of the hours, for other data that must expire with the log.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.shared.sources.keyring)
    }

    /// Destroys expired keys and files, and finishes the active segment once the log's time has left its hour. Call it about
    /// every minute; an additional call does no harm.
    pub fn tick(&self) -> RetentionOutcome {
        let shared = &self.shared;
        let present = lock(&shared.pending).hour(&*shared.sources.clock);
        shared.finish_active_if(|hour| hour != present);
        let _retention = lock(&shared.retention);
        let finish_hours = |due: &[_]| shared.finish_active_if(|hour| due.contains(&hour));
        retention::tick(&shared.sources, &*shared.disk, finish_hours)
    }

    /// Refuses appends while the disk has less free space than its reserve. Call it each second.
    pub fn check_space(&self) {
        self.shared.check_space();
    }

    /// Seals every finished segment. This takes minutes after a busy hour, so call it on a thread of low priority. It ends
    /// early when `stop` returns true, and leaves no partial file. Rounds exclude each other.
    pub fn seal(&self, stop: &dyn Fn() -> bool) -> SealOutcome {
        self.shared.seal_all(stop)
    }

    /// Copies to the object store what is committed, and deletes copies that have expired. Without a store it does nothing. It waits for the
    /// store, so call it on a thread of its own, each `log.copy_interval`. When `stop` returns true it ends early: between two objects, or in
    /// a listing.
    pub fn copy(&self, stop: &dyn Fn() -> bool) {
        if let Some(copies) = &self.copies {
            copies.round(&self.shared.sources, stop);
        }
    }

    /// As [`Self::copy`], once the log is closed: the store then says that everything was copied, if it was.
    pub fn copy_last(&self, stop: &dyn Fn() -> bool) {
        if let Some(copies) = &self.copies {
            copies.last_round(&self.shared.sources, stop);
        }
    }

    /// Deletes copies of other nodes that have expired long ago. Without a store it does nothing. It waits for the store, so call it on a
    /// thread of its own, each [`limits::LOG_COPY_LIST_EVERY`](crate::limits::LOG_COPY_LIST_EVERY). It ends early when `stop` returns
    /// true.
    pub fn forget_other_copies(&self, stop: &dyn Fn() -> bool) {
        if let Some(copies) = &self.copies {
            copies.forget_others(&self.shared.sources, stop);
        }
    }

    /// How it stands with the copies. None without a store. Waits for nothing.
    pub fn copy_figures(&self) -> Option<CopyFigures> {
        self.copies.as_ref().map(|copies| copies.figures(&self.shared.sources))
    }

    /// Refuses further appends, commits the pending records and finishes the active segment.
    pub fn close(&self) {
        lock(&self.shared.pending).close();
        self.shared.writable.store(false, Ordering::Release);
        self.threads.stop();
        self.commit_pending();
        self.shared.finish_active_if(|_| true);
    }
}

struct InlineFlusher<'a> {
    shared: &'a LogState,
    signal: Arc<Signal>,
}

impl Drop for InlineFlusher<'_> {
    fn drop(&mut self) {
        self.signal.close();
        // The commit thread commits what this flusher was asked for and has not committed.
        self.shared.wakeup.notify();
    }
}

impl fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryLog").field("writable", &self.is_writable()).finish_non_exhaustive()
    }
}

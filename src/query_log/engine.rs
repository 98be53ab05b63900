//! The state that writers, flushers and the commit thread share, and the commit thread itself.

use std::{
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    config::Durability,
    frames::{
        append_ack::CommitGroup,
        committer::Committer,
        flusher::{self, Wakeup},
        pending::Pending,
        segment_file::WriteError,
    },
    sealer::SealerState,
    search::Sources,
};
use crate::{
    clock::Hour,
    files::{self, FileLock, SharedDisk, Space},
    limits,
    lock::lock,
    shutdown::Shutdown,
};

/// How often a serving thread tries to get at the writing side, while it lets other threads run. A commit in `os` mode
/// takes some microseconds.
const INLINE_ATTEMPTS: u32 = 100;

/// What the writers, the flushers and the commit thread share.
///
/// Lock order: `sealer`, `retention`, `committer`, `pending`.
pub(super) struct LogState {
    /// Distinguishes the logs of one process.
    pub(super) id: u64,
    pub(super) pending: Mutex<Pending>,
    /// Locked for a whole commit, so that groups enter the file in the order of their records.
    pub(super) committer: Mutex<Committer>,
    /// The group of the present commit, or of the last one.
    pub(super) in_commit: Mutex<Option<Arc<CommitGroup>>>,
    /// The oldest group without an outcome, and since when [`LogState::check_progress`] has seen it.
    pub(super) oldest: Mutex<Option<(Arc<CommitGroup>, Instant)>>,
    pub(super) writable: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) wakeup: Arc<Wakeup>,
    pub(super) sources: Sources,
    pub(super) durability: Durability,
    /// Locked while retention destroys hours. The sealer locks it while it replaces frames with a sealed file, so that no key is
    /// destroyed in between.
    pub(super) retention: Mutex<()>,
    /// Locked for a whole round of sealing.
    pub(super) sealer: Mutex<SealerState>,
    /// The ordinal of the first segment that this process writes.
    pub(super) first_own_ordinal: u64,
    pub(super) disk: SharedDisk,
    pub(super) disk_reserve: u64,
    #[expect(dead_code, reason = "it keeps other processes out until the last clone is dropped")]
    pub(super) directory: FileLock,
}

/// The log's own threads: one commits, the other checks that commits make progress. Dropping this stops both.
pub(super) struct LogThreads {
    shared: Arc<LogState>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl LogState {
    /// Has somebody commit soon: this thread's flusher, or else the commit thread.
    pub(super) fn request_commit(&self) {
        if !flusher::request_here(self.id) {
            self.wakeup.notify();
        }
    }

    /// Commits the pending records once. False if there were none.
    pub(super) fn commit_pending(&self) -> bool {
        self.commit_with(lock(&self.committer))
    }

    /// Commits the pending records on a thread that must not wait for a disk on which another thread hangs. Where another
    /// commit is under way for long, the commit thread does it.
    pub(super) fn commit_pending_inline(&self) {
        for _ in 0..INLINE_ATTEMPTS {
            match self.committer.try_lock() {
                Err(TryLockError::WouldBlock) => thread::yield_now(),
                Err(TryLockError::Poisoned(committer)) => {
                    self.commit_with(committer.into_inner());
                    return;
                }
                Ok(committer) => {
                    self.commit_with(committer);
                    return;
                }
            }
        }
        self.wakeup.notify();
    }

    fn commit_with(&self, mut committer: MutexGuard<'_, Committer>) -> bool {
        let Some(group) = lock(&self.pending).take_group(&mut committer.records) else {
            return false;
        };
        *lock(&self.in_commit) = Some(Arc::clone(&group));
        // The guard resolves the group even after a panic, so that no task waits forever.
        let mut guard = ResolveOnDrop { group, committed: false };
        match committer.write() {
            Ok(()) => guard.committed = true,
            Err(error) => self.poison(&error),
        }
        drop(committer);
        true
    }

    /// Refuses appends after a write error and fails the pending ones. The commit thread tries a new segment later.
    fn poison(&self, error: &WriteError) {
        self.writable.store(false, Ordering::Release);
        let refused = lock(&self.pending).refuse();
        refused.resolve(false);
        tracing::error!(%error, "cannot write the log; lookups are refused until it can be written");
        self.wakeup.notify();
    }

    /// Refuses appends and fails the requests that wait, if a commit has taken too long. The commit goes on: once the disk
    /// writes again, the commit thread reopens the log.
    fn check_progress(&self) {
        let in_commit = lock(&self.in_commit).clone().filter(|group| group.is_open());
        let waiting = in_commit.clone().or_else(|| lock(&self.pending).group());
        let mut oldest = lock(&self.oldest);
        let Some(group) = waiting else {
            *oldest = None;
            return;
        };
        let since = match &*oldest {
            Some((seen, since)) if Arc::ptr_eq(seen, &group) => *since,
            _ => Instant::now(),
        };
        *oldest = Some((group, since));
        if since.elapsed() < limits::LOG_COMMIT_PATIENCE || !self.is_writable() {
            return;
        }
        if let Some(group) = in_commit {
            group.give_up();
        }
        self.poison(&WriteError::Hangs);
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    /// Refuses appends if the disk has less free space than its reserve.
    pub(super) fn check_space(&self) {
        if !self.is_writable() {
            return;
        }
        let Some(space) = self.space() else { return };
        if space.is_low(self.disk_reserve, false) {
            let (free, least) = (space.free, space.reserve(self.disk_reserve));
            let _committer = lock(&self.committer);
            self.poison(&WriteError::LowSpace { free, least });
        }
    }

    /// Whether a segment with so many bytes of frames may be sealed. Its sealed file takes about a third of that and frees all of
    /// it, so it may use half of the reserve.
    pub(super) fn may_seal(&self, bytes: u64) -> bool {
        self.space()
            .is_none_or(|space| space.free >= bytes / 2 + space.reserve(self.disk_reserve) / 2)
    }

    /// None if it is not known; then a write will show whether there is enough.
    fn space(&self) -> Option<Space> {
        files::space_of(self.sources.catalog.dir()).ok()
    }

    /// Tries a new segment after a write error.
    pub(super) fn reopen(&self) {
        if self.space().is_some_and(|space| space.is_low(self.disk_reserve, true)) {
            return;
        }
        let mut committer = lock(&self.committer);
        let hour = {
            let pending = lock(&self.pending);
            if !pending.may_reopen() {
                return;
            }
            pending.hour(&*self.sources.clock)
        };
        match committer.reopen(hour) {
            Ok(()) => {
                lock(&self.pending).accept();
                self.writable.store(true, Ordering::Release);
                tracing::info!("the log can be written again");
            }
            Err(error) => tracing::debug!(%error, "the log still cannot be written"),
        }
    }

    pub(super) fn finish_active_if(&self, is_due: impl Fn(Hour) -> bool) {
        let mut committer = lock(&self.committer);
        if committer.active_hour().is_some_and(is_due)
            && let Err(error) = committer.finish()
        {
            self.poison(&error);
        }
    }

    fn run_commits(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            if self.is_writable() {
                // Returns at once after a notification since the last call, and may return without one.
                thread::park();
                self.yield_to_serving_threads();
                while self.commit_pending() {
                    self.yield_to_serving_threads();
                }
            } else {
                self.pause();
                self.reopen();
            }
        }
    }

    /// Lets serving threads that wait for this processor run first, so that their records join this commit: a sync costs
    /// the same for one record as for a hundred. It does nothing where those threads have processors of their own.
    fn yield_to_serving_threads(&self) {
        if self.durability == Durability::Disk {
            thread::yield_now();
        }
    }

    fn pause(&self) {
        let step = Duration::from_millis(50);
        let mut left = limits::LOG_RETRY_PAUSE;
        while !self.stopping.load(Ordering::Acquire) && !left.is_zero() {
            thread::sleep(step.min(left));
            left = left.saturating_sub(step);
        }
    }
}

impl LogThreads {
    pub(super) fn start(shared: &Arc<LogState>, shutdown: Shutdown) -> io::Result<Self> {
        let worker = Arc::clone(shared);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| worker.run_commits())).is_err() {
                worker.writable.store(false, Ordering::Release);
                let mut pending = lock(&worker.pending);
                pending.close();
                pending.refuse().resolve(false);
                drop(pending);
                shutdown.crashed("query log");
            }
        };
        let thread = thread::Builder::new().name("query-log".into()).spawn(run)?;
        shared.wakeup.set_thread(thread.thread());
        let watched = Arc::clone(shared);
        // Not a task of a runtime: whatever else hangs with the disk must not keep it from running.
        let watch = move || {
            while !watched.stopping.load(Ordering::Acquire) {
                thread::park_timeout(limits::LOG_PROGRESS_EVERY);
                watched.check_progress();
            }
        };
        let started = Self { shared: Arc::clone(shared), threads: Mutex::new(vec![thread]) };
        let watch = thread::Builder::new().name("log-progress".into()).spawn(watch)?;
        lock(&started.threads).push(watch);
        Ok(started)
    }

    pub(super) fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        for thread in mem::take(&mut *lock(&self.threads)) {
            thread.thread().unpark();
            // The commit thread catches its own panics, so joining it tells nothing more.
            let _ = thread.join();
        }
    }
}

impl Drop for LogThreads {
    fn drop(&mut self) {
        self.stop();
        let mut pending = lock(&self.shared.pending);
        pending.close();
        // Without a call of `close` the pending records are lost as in a crash, but no task may wait forever.
        pending.refuse().resolve(false);
    }
}

/// Resolves a group when it is dropped, as committed only if the write succeeded.
struct ResolveOnDrop {
    group: Arc<CommitGroup>,
    committed: bool,
}

impl Drop for ResolveOnDrop {
    fn drop(&mut self) {
        self.group.resolve(self.committed);
    }
}

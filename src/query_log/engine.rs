//! What drives commits: the thread that commits whatever nobody else does, and brings the log back after an error.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    catalog::Catalog,
    config::{Config, Durability},
    frames::{
        append_ack::CommitGroup, committer::Committer, flusher, pending::Pending,
        segment_file::WriteError, wakeup::Wakeup,
    },
    retention::Retention,
    sealer::Sealer,
};
use crate::{
    clock::{Hour, SharedClock},
    envelope::Keyring,
    files::{FileLock, SharedDisk},
    limits,
    shutdown::Shutdown,
};

/// What the writers, the flushers and the commit thread share.
pub(super) struct LogState {
    pub(super) id: u64,
    pub(super) pending: Mutex<Pending>,
    /// Taken before `pending`, and held for a whole commit: batches get into the file in the order of their records.
    pub(super) committer: Mutex<Committer>,
    pub(super) writable: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) wakeup: Arc<Wakeup>,
    pub(super) clock: SharedClock,
    pub(super) catalog: Arc<Catalog>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) config: Config,
    /// Taken before `committer`; sealing takes it to put a file in its place.
    pub(super) retention: Mutex<Retention>,
    /// Held for a whole round of sealing, and taken before `retention`.
    pub(super) sealer: Mutex<Sealer>,
    /// The first ordinal of a segment that this process writes.
    pub(super) own_from: u64,
    pub(super) disk: SharedDisk,
    /// Held as long as anything here lives.
    #[expect(dead_code, reason = "held, never read")]
    pub(super) directory: FileLock,
}

/// The log's own thread; ended when dropped.
pub(super) struct CommitThread {
    pub(super) shared: Arc<LogState>,
    pub(super) thread: Mutex<Option<JoinHandle<()>>>,
}

impl LogState {
    pub(super) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn retention(&self) -> MutexGuard<'_, Retention> {
        self.retention.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sealer(&self) -> MutexGuard<'_, Sealer> {
        self.sealer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ask_commit(&self) {
        if !flusher::ask_here(self.id) {
            self.wakeup.ring();
        }
    }

    /// One commit. False if nothing waited.
    pub(super) fn commit_pending(&self) -> bool {
        let mut committer = self.committer();
        let Some(batch) = self.pending().take(&mut committer.taken) else {
            return false;
        };
        // Resolved whatever happens, even a panic: nobody waits for ever.
        let mut batch = Unresolved { batch, committed: false };
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
        self.wakeup.ring();
    }

    /// Tries a fresh segment after an error.
    pub(super) fn revive(&self) {
        let mut committer = self.committer();
        let (closed, hour) = {
            let pending = self.pending();
            (pending.is_closed() || pending.is_accepting(), pending.now(&*self.clock).hour())
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

    pub(super) fn end_past_hour(&self) {
        let now = self.clock.now();
        let log_hour = self.pending().now(&*self.clock).hour();
        self.end_active_if(|hour| hour.end() <= now && hour != log_hour);
    }

    pub(super) fn end_active_if(&self, is_due: impl Fn(Hour) -> bool) {
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
                self.wakeup.wait();
                self.let_serve();
                while self.commit_pending() {
                    self.let_serve();
                }
            } else {
                self.pause();
                self.revive();
            }
        }
    }

    /// A sync costs the same for one record as for a hundred. Where serving threads wait for this processor they go
    /// first, so that what they are about to append joins this commit; where they have processors of their own this is
    /// nothing.
    fn let_serve(&self) {
        if self.config.durability == Durability::Disk {
            thread::yield_now();
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
    pub(super) fn start(shared: &Arc<LogState>, shutdown: Shutdown) -> std::io::Result<Self> {
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
        Ok(Self { shared: Arc::clone(shared), thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.wakeup.ring();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
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
    batch: Arc<CommitGroup>,
    committed: bool,
}

impl Drop for Unresolved {
    fn drop(&mut self) {
        self.batch.resolve(self.committed);
    }
}

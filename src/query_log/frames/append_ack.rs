//! The promise that a record gets into the log, and what keeps it.
//!
//! All records of one commit share one [`CommitGroup`]; a [`AppendAck`] is a hold on it. So a commit costs one allocation, a record
//! none, and a commit wakes exactly those whose records it wrote: who waits for the next one waits in another batch.

use std::{
    fmt,
    future::Future,
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use super::{
    flusher::{self, Signal},
    wakeup::Wakeup,
};

const PENDING: u8 = 0;
const COMMITTED: u8 = 1;
const FAILED: u8 = 2;

/// Why a record is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// More records wait than the log takes on. Nothing was written.
    #[error("more records wait for the log than it takes on")]
    Overloaded,
    /// The log cannot be written, or is closed. The record may be on disk or not: there must be no answer.
    #[error("the log cannot be written")]
    Unwritable,
}

/// The records of one commit.
pub(in crate::query_log) struct CommitGroup {
    state: AtomicU8,
    /// By the thread that waits.
    waiting: Mutex<Vec<Waiters>>,
    wakeup: Arc<Wakeup>,
}

/// Tasks of one thread: one with a flusher, or any other.
struct Waiters {
    flusher: Option<Arc<Signal>>,
    wakers: Vec<Waker>,
}

impl CommitGroup {
    pub(in crate::query_log) fn new(wakeup: &Arc<Wakeup>) -> Arc<Self> {
        let (state, wakeup) = (AtomicU8::new(PENDING), Arc::clone(wakeup));
        Arc::new(Self { state, waiting: Mutex::default(), wakeup })
    }

    /// Says how it ended, once, and wakes who waits for it.
    pub(in crate::query_log) fn resolve(&self, committed: bool) {
        let outcome = if committed { COMMITTED } else { FAILED };
        let waiting = {
            let mut waiting = self.waiting();
            // Under the lock, so that nobody adds a waker after they were taken.
            self.state.store(outcome, Ordering::Release);
            mem::take(&mut *waiting)
        };
        for Waiters { flusher, wakers } in waiting {
            match flusher {
                Some(flusher) => flusher.send(wakers),
                None => wakers.into_iter().for_each(Waker::wake),
            }
        }
    }

    fn outcome(&self) -> Option<Result<(), AppendError>> {
        match self.state.load(Ordering::Acquire) {
            PENDING => None,
            COMMITTED => Some(Ok(())),
            _ => Some(Err(AppendError::Unwritable)),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiters>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a new waker among those `waiting`.
fn add(waiting: &mut Vec<Waiters>, waker: Waker) -> (usize, usize) {
    let flusher = flusher::here();
    let is_ours = |group: &Waiters| match (&group.flusher, &flusher) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    };
    let group = waiting.iter().position(is_ours).unwrap_or_else(|| {
        let wakers = Vec::new();
        waiting.push(Waiters { flusher, wakers });
        waiting.len() - 1
    });
    let place = waiting.get_mut(group).map_or(0, |group| {
        group.wakers.push(waker);
        group.wakers.len() - 1
    });
    (group, place)
}

/// A record on its way into the log. Resolves when it is there, as durable as configured, or cannot get there.
///
/// Dropping it takes nothing back: the record still goes into the log.
#[must_use = "no answer may leave before its record is in the log"]
pub struct AppendAck {
    batch: Arc<CommitGroup>,
    /// Where this ticket's waker is in the batch.
    slot: Option<(usize, usize)>,
}

impl AppendAck {
    pub(in crate::query_log) const fn new(batch: Arc<CommitGroup>) -> Self {
        Self { batch, slot: None }
    }

    /// For no records at all: they are in the log already.
    pub(in crate::query_log) fn of_nothing(wakeup: &Arc<Wakeup>) -> Self {
        let batch = CommitGroup::new(wakeup);
        batch.resolve(true);
        Self::new(batch)
    }

    /// Whether the record is in the log. False also if it cannot get there.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        self.batch.outcome() == Some(Ok(()))
    }

    /// Waits on this thread, for callers without a runtime. Never inside a runtime: it stops everything else there.
    ///
    /// # Errors
    /// If the record could not be written.
    pub fn wait_blocking(self) -> Result<(), AppendError> {
        if let Some(outcome) = self.batch.outcome() {
            return outcome;
        }
        // If this thread were to commit by itself later, it would now wait for itself.
        self.batch.wakeup.ring();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut ticket = pin!(self);
        loop {
            match ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl Future for AppendAck {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.batch.outcome() {
            return Poll::Ready(outcome);
        }
        let batch = Arc::clone(&self.batch);
        let mut waiting = batch.waiting();
        if let Some(outcome) = batch.outcome() {
            return Poll::Ready(outcome);
        }
        let known =
            self.slot.and_then(|(group, place)| waiting.get_mut(group)?.wakers.get_mut(place));
        match known {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.slot = Some(add(&mut waiting, context.waker().clone())),
        }
        Poll::Pending
    }
}

impl fmt::Debug for AppendAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendAck").field("outcome", &self.batch.outcome()).finish()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

//! What an append returns, and how a commit resolves it.
//!
//! All records of one commit share one [`CommitGroup`], and an [`AppendAck`] refers to it. So a commit costs one allocation
//! and a record none. A commit wakes exactly the tasks whose records it wrote: later records belong to another group.
//!
//! A disk can hang, so that nobody knows for long whether a commit succeeds. Requests then stop waiting
//! ([`CommitGroup::give_up`]); who must know the outcome waits on ([`AppendAck::until_known`]).

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::flusher::{self, Signal, Wakeup};
use crate::lock::lock;

/// Why an append failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Too many records are pending. Nothing was written.
    #[error("too many records are pending for the log")]
    Overloaded,
    /// The log cannot be written, or is closed. The record may or may not be on disk, so the caller must not answer.
    #[error("the log cannot be written")]
    Unwritable,
}

/// The records of one commit.
pub(crate) struct CommitGroup {
    /// None while the commit is pending.
    outcome: OnceLock<Result<(), AppendError>>,
    /// Requests wait no longer, although the outcome is not known.
    is_given_up: AtomicBool,
    waiters: Mutex<Vec<Waiters>>,
    wakeup: Arc<Wakeup>,
}

/// The waiting tasks of one thread with a flusher, or of all other threads.
#[derive(Clone)]
struct Waiters {
    flusher: Option<Arc<Signal>>,
    wakers: Vec<Waker>,
}

impl CommitGroup {
    pub(crate) fn new(wakeup: &Arc<Wakeup>) -> Arc<Self> {
        let (outcome, waiters) = (OnceLock::new(), Mutex::default());
        let (is_given_up, wakeup) = (AtomicBool::new(false), Arc::clone(wakeup));
        Arc::new(Self { outcome, is_given_up, waiters, wakeup })
    }

    /// Resolves every acknowledgement of the group, once, and wakes the waiting tasks.
    pub(crate) fn resolve(&self, committed: bool) {
        let outcome = if committed { Ok(()) } else { Err(AppendError::Unwritable) };
        let waiters = {
            let mut waiters = lock(&self.waiters);
            // The lock keeps others from adding a waker after the wakers are taken.
            let first = self.outcome.set(outcome);
            // A second outcome would contradict an answer that has already left.
            assert!(first.is_ok(), "a commit resolves once");
            mem::take(&mut *waiters)
        };
        wake(waiters);
    }

    /// Fails every acknowledgement that a request waits for. The commit goes on, and its outcome is known later.
    pub(crate) fn give_up(&self) {
        let waiters = {
            let waiters = lock(&self.waiters);
            self.is_given_up.store(true, Ordering::Release);
            // They stay, since some wait on for the outcome.
            waiters.clone()
        };
        wake(waiters);
    }

    fn outcome(&self) -> Option<Result<(), AppendError>> {
        self.outcome.get().copied()
    }

    /// Whether its commit has neither succeeded nor failed.
    pub(crate) fn is_open(&self) -> bool {
        self.outcome().is_none()
    }
}

fn wake(waiters: Vec<Waiters>) {
    for Waiters { flusher, wakers } in waiters {
        match flusher {
            Some(flusher) => flusher.wake_all(wakers),
            None => wakers.into_iter().for_each(Waker::wake),
        }
    }
}

/// Adds a waker and returns its index: that of its thread, and that among the thread's wakers.
fn add_waker(waiters: &mut Vec<Waiters>, waker: Waker) -> (usize, usize) {
    let flusher = flusher::here();
    let is_own =
        |of: &Waiters| of.flusher.as_ref().map(Arc::as_ptr) == flusher.as_ref().map(Arc::as_ptr);
    let thread = waiters.iter().position(is_own).unwrap_or_else(|| {
        waiters.push(Waiters { flusher, wakers: Vec::new() });
        waiters.len() - 1
    });
    let wakers = &mut waiters[thread].wakers;
    wakers.push(waker);
    (thread, wakers.len() - 1)
}

/// The acknowledgement of an append: resolves once the record is as durable as configured, once its commit failed, or once
/// the commit takes longer than [`limits::LOG_COMMIT_PATIENCE`](crate::limits::LOG_COMMIT_PATIENCE).
///
/// Dropping it does not take the record back.
#[must_use = "no answer may leave before its record is in the log"]
pub struct AppendAck {
    group: Arc<CommitGroup>,
    /// The index of this task's waker in the group.
    slot: Option<(usize, usize)>,
    /// A hanging disk does not fail it.
    is_patient: bool,
}

impl AppendAck {
    pub(crate) const fn new(group: Arc<CommitGroup>) -> Self {
        Self { group, slot: None, is_patient: false }
    }

    /// For an append of no records: it resolves at once.
    pub(crate) fn of_nothing(wakeup: &Arc<Wakeup>) -> Self {
        let group = CommitGroup::new(wakeup);
        group.resolve(true);
        Self::new(group)
    }

    /// Whether the record is in the log. False while the commit is pending and after it failed.
    pub fn is_committed(&self) -> bool {
        self.group.outcome() == Some(Ok(()))
    }

    /// Resolves once it is known whether the record is in the log, however long that takes: for a caller that would append the
    /// record again after an error.
    pub fn until_known(self) -> impl Future<Output = Result<(), AppendError>> + Send {
        Self { is_patient: true, ..self }
    }

    fn outcome(&self) -> Option<Result<(), AppendError>> {
        let is_over = || !self.is_patient && self.group.is_given_up.load(Ordering::Acquire);
        self.group.outcome().or_else(|| is_over().then_some(Err(AppendError::Unwritable)))
    }

    /// Blocks this thread, for callers outside of a runtime. Inside a runtime it would block every other task.
    pub fn wait_blocking(self) -> Result<(), AppendError> {
        if let Some(outcome) = self.group.outcome() {
            return outcome;
        }
        // This thread's flusher cannot run while the thread blocks, so the commit thread must commit.
        self.group.wakeup.notify();
        *self.group.outcome.wait()
    }
}

impl Future for AppendAck {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        let group = Arc::clone(&self.group);
        let mut waiters = lock(&group.waiters);
        // The commit may have resolved the group before this thread got the lock.
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        match self.slot {
            Some((thread, index)) => waiters[thread].wakers[index].clone_from(context.waker()),
            None => self.slot = Some(add_waker(&mut waiters, context.waker().clone())),
        }
        Poll::Pending
    }
}

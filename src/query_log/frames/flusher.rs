//! What the serving threads themselves do for the log.
//!
//! Each serving thread may run one flusher. The first append of a turn wakes it; it lets every request that is ready in
//! this turn join, and then commits for all of them. In `os` mode it does so itself: a commit is one write to the page
//! cache, some microseconds, and handing it to another thread would cost more. In `disk` mode a sync would stop the
//! thread, so it rings for the commit thread, once a turn instead of at the first record: one sync covers them all.
//!
//! It also wakes this thread's requests for the commit thread: to wake a task from another thread costs a system call, so
//! the commit thread sends all wakers of a batch at once.
//!
//! A thread knows its flusher by a thread-local, since an append has no other way to say "mine". Where a thread has none
//! (a synchronous caller, another runtime), the commit thread does it all.

use std::{
    cell::RefCell,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::task::AtomicWaker;

thread_local! {
    /// This thread's flusher, and the log it is for.
    static FLUSHER: RefCell<Option<(u64, Arc<Signal>)>> = const { RefCell::new(None) };
}

/// What wakes a flusher.
#[derive(Debug, Default)]
pub(in crate::query_log) struct Signal {
    asked: AtomicBool,
    /// Tasks of this thread to be woken; none once the flusher has ended.
    sent: Mutex<Sent>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Sent {
    wakers: Vec<Waker>,
    closed: bool,
}

impl Signal {
    pub(in crate::query_log) fn ask(&self) {
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Ready when asked; takes the asking. Wakes what was sent.
    pub(in crate::query_log) fn poll_asked(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        let sent = mem::take(&mut self.sent().wakers);
        sent.into_iter().for_each(Waker::wake);
        if self.asked.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Has `wakers` woken on the flusher's thread.
    pub(in crate::query_log) fn send(self: &Arc<Self>, mut wakers: Vec<Waker>) {
        if !is_here(self) {
            let mut sent = self.sent();
            if !sent.closed {
                sent.wakers.append(&mut wakers);
                drop(sent);
                self.waker.wake();
                return;
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes nothing more; wakes what was sent.
    pub(in crate::query_log) fn close(&self) {
        let mut sent = self.sent();
        sent.closed = true;
        let wakers = mem::take(&mut sent.wakers);
        drop(sent);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This thread's flusher, whichever log it is for.
pub(in crate::query_log) fn here() -> Option<Arc<Signal>> {
    FLUSHER.with_borrow(|flusher| flusher.as_ref().map(|(_, signal)| Arc::clone(signal)))
}

fn is_here(signal: &Arc<Signal>) -> bool {
    FLUSHER
        .with_borrow(|flusher| flusher.as_ref().is_some_and(|(_, here)| Arc::ptr_eq(here, signal)))
}

/// Makes `signal` the one of this thread, for the log `log`.
pub(in crate::query_log) fn adopt(log: u64, signal: &Arc<Signal>) {
    FLUSHER.with_borrow_mut(|flusher| *flusher = Some((log, Arc::clone(signal))));
}

/// Asks this thread's flusher of `log` to commit. False if there is none.
pub(in crate::query_log) fn ask_here(log: u64) -> bool {
    FLUSHER.with_borrow(|flusher| match flusher {
        Some((of, signal)) if *of == log && !signal.sent().closed => {
            signal.ask();
            true
        }
        _ => false,
    })
}

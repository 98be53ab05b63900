//! Committing on the serving threads themselves.
//!
//! In `os` mode a commit is one write to the page cache, some microseconds: handing it to another thread would cost more
//! than doing it. So each serving thread may run one flusher. The first append of a turn wakes it; it lets every request
//! that is ready in this turn join, and then commits for all of them.
//!
//! A thread knows its flusher by a thread-local, since an append has no other way to say "mine". Where a thread has none
//! (a synchronous caller, another runtime), the commit thread does it.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;

thread_local! {
    /// This thread's flusher, and the log it is for.
    static FLUSHER: RefCell<Option<(u64, Arc<Signal>)>> = const { RefCell::new(None) };
}

/// What wakes a flusher.
#[derive(Debug, Default)]
pub(super) struct Signal {
    asked: AtomicBool,
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    pub(super) fn ask(&self) {
        if !self.asked.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Ready when asked; takes the asking.
    pub(super) fn poll_asked(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.asked.swap(false, Ordering::AcqRel) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// Makes `signal` the one of this thread, for the log `log`.
pub(super) fn adopt(log: u64, signal: &Arc<Signal>) {
    FLUSHER.with_borrow_mut(|flusher| *flusher = Some((log, Arc::clone(signal))));
}

/// Asks this thread's flusher of `log` to commit. False if there is none.
pub(super) fn ask_here(log: u64) -> bool {
    FLUSHER.with_borrow(|flusher| match flusher {
        Some((of, signal)) if *of == log && !signal.closed.load(Ordering::Acquire) => {
            signal.ask();
            true
        }
        _ => false,
    })
}

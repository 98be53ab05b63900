//! The part of a commit that serving threads do themselves, and what wakes the commit thread.
//!
//! Each serving thread may run one flusher. The first append of a turn wakes it. The flusher lets every request that is
//! ready in this turn append, then commits for all of them:
//!
//! - In `os` mode it commits itself. A commit is one write to the page cache and takes some microseconds; to hand it to
//!   another thread would cost more.
//! - In `disk` mode a sync would block the serving thread. So the flusher notifies the commit thread, once a turn and not at
//!   the first record: one sync covers the whole turn.
//!
//! The flusher also wakes this thread's tasks for the commit thread. To wake a task of another thread costs a system call,
//! so the commit thread sends all wakers of a group at once.
//!
//! A thread-local names the thread's flusher, because an append has no other way to find it. For a thread without one (a
//! synchronous caller, another runtime) the commit thread does everything.

use std::{
    cell::RefCell,
    mem,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    thread::Thread,
};

use futures_util::task::AtomicWaker;

use crate::lock::lock;

thread_local! {
    /// The id of a log, and this thread's flusher for it.
    static FLUSHER: RefCell<Option<(u64, Arc<Signal>)>> = const { RefCell::new(None) };
}

/// Wakes a flusher, and carries the wakers of its thread's tasks.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    requested: AtomicBool,
    queue: Mutex<WakerQueue>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct WakerQueue {
    wakers: Vec<Waker>,
    /// The flusher has ended, so it wakes nobody any more.
    closed: bool,
}

impl Signal {
    fn request(&self) {
        if !self.requested.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Ready if a commit was requested since the last call. Wakes the queued tasks.
    pub(crate) fn poll_requested(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        let wakers = mem::take(&mut lock(&self.queue).wakers);
        wakers.into_iter().for_each(Waker::wake);
        if self.requested.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Wakes `wakers` on the flusher's thread, or here if the flusher has ended.
    pub(crate) fn wake_all(self: &Arc<Self>, mut wakers: Vec<Waker>) {
        if here().is_none_or(|here| !Arc::ptr_eq(&here, self)) {
            let mut queue = lock(&self.queue);
            if !queue.closed {
                queue.wakers.append(&mut wakers);
                drop(queue);
                self.waker.wake();
                return;
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        let wakers = mem::take(&mut queue.wakers);
        drop(queue);
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// This thread's flusher, for whatever log.
pub(crate) fn here() -> Option<Arc<Signal>> {
    FLUSHER.with_borrow(|flusher| flusher.as_ref().map(|(_, signal)| Arc::clone(signal)))
}

pub(crate) fn register(log: u64, signal: &Arc<Signal>) {
    FLUSHER.with_borrow_mut(|flusher| *flusher = Some((log, Arc::clone(signal))));
}

/// Requests a commit from this thread's flusher for `log`. False if there is none.
pub(crate) fn request_here(log: u64) -> bool {
    FLUSHER.with_borrow(|flusher| match flusher {
        Some((of, signal)) if *of == log && !lock(&signal.queue).closed => {
            signal.request();
            true
        }
        _ => false,
    })
}

/// Wakes the commit thread, which parks. While that thread is awake, this costs one atomic swap.
#[derive(Debug, Default)]
pub(crate) struct Wakeup(OnceLock<Thread>);

impl Wakeup {
    /// Sets the commit thread, before anybody can append: nobody hears an earlier notification.
    pub(crate) fn set_thread(&self, thread: &Thread) {
        assert!(self.0.set(thread.clone()).is_ok(), "a log has one commit thread");
    }

    /// Notifies the commit thread. It then sees everything done before this call.
    pub(crate) fn notify(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }
}

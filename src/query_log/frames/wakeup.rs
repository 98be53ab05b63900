//! Wakes the commit thread; while that thread is awake this costs one atomic swap.

use std::sync::{
    Condvar, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::query_log::lock::lock;

/// A notification that one thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Wakeup {
    notified: AtomicBool,
    asleep: Mutex<bool>,
    wake: Condvar,
}

impl Wakeup {
    /// Notifies the waiting thread. It then sees everything done before this call.
    pub(crate) fn notify(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) && *lock(&self.asleep) {
            self.wake.notify_one();
        }
    }

    /// Waits for a notification, or returns at once if one came since the last call.
    pub(crate) fn wait(&self) {
        if self.notified.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut asleep = lock(&self.asleep);
        *asleep = true;
        // A notification between the swap above and the lock only set the flag. The lock orders the two, so this sees it.
        let is_quiet = |_: &mut bool| !self.notified.load(Ordering::SeqCst);
        let woken = self.wake.wait_while(asleep, is_quiet);
        let mut asleep = woken.unwrap_or_else(PoisonError::into_inner);
        *asleep = false;
        self.notified.store(false, Ordering::SeqCst);
    }
}

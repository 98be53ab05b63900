//! Wakes the commit thread, at no more than the price of an atomic swap while it is awake.

use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// A bell that one thread listens to.
#[derive(Debug, Default)]
pub(in crate::query_log) struct Wakeup {
    rung: AtomicBool,
    asleep: Mutex<bool>,
    wake: Condvar,
}

impl Wakeup {
    /// Rings: the listener will look at everything done before this call.
    pub(in crate::query_log) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) && *self.asleep() {
            self.wake.notify_one();
        }
    }

    /// Waits for the bell.
    pub(in crate::query_log) fn wait(&self) {
        if self.rung.swap(false, Ordering::SeqCst) {
            return;
        }
        let mut asleep = self.asleep();
        *asleep = true;
        // A ring between the look above and here has set the flag without a notice; the lock orders the two.
        let quiet = |_: &mut bool| !self.rung.load(Ordering::SeqCst);
        let woken = self.wake.wait_while(asleep, quiet);
        let mut asleep = woken.unwrap_or_else(PoisonError::into_inner);
        *asleep = false;
        self.rung.store(false, Ordering::SeqCst);
    }

    fn asleep(&self) -> MutexGuard<'_, bool> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

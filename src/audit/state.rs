//! What an audit log and its calls share, and a call that was noted and gives out records.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use tokio::runtime;

use super::{
    chain::Chain,
    entry::{End, What},
};
use crate::envelope::Keyring;

#[derive(Debug)]
pub(super) struct AuditState {
    pub(super) chain: Chain,
    pub(super) keyring: Arc<Keyring>,
    pub(super) retention: Duration,
    /// End entries that are still to be written.
    pub(super) endings: Mutex<usize>,
    pub(super) ended: Condvar,
}

/// An end entry that is still to be written. Counted until it is dropped, written or not: a runtime that shuts down drops
/// what it has not begun.
struct Ending(Arc<AuditState>);

impl AuditState {
    /// Waits until no end entry is still to be written, for `patience` at most.
    pub(super) fn await_endings(&self, patience: Duration) {
        let endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.ended.wait_timeout_while(endings, patience, |left| *left > 0));
    }

    /// Writes an end entry. If that fails the call stays without one: what is known of it is that it began.
    fn end(&self, entry: What) {
        if let Err(error) = self.chain.append(entry) {
            tracing::error!(%error, "how many records a call was given could not be noted");
        }
    }

    fn ending(self: &Arc<Self>) -> Ending {
        *self.endings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ending(Arc::clone(self))
    }
}

impl Ending {
    fn write(self, entry: What) {
        self.0.end(entry);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.endings.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}

/// Counts the records that a call gives, and writes their number when the call ends. [`Audited::finish`] ends it well;
/// dropping it says that the call broke off or its client went away.
#[must_use = "a call whose records are not counted looks as if it had given none"]
#[derive(Debug)]
pub struct Audited {
    shared: Arc<AuditState>,
    of: u64,
    records: u64,
    is_over: bool,
}

impl Audited {
    pub(super) fn new(shared: Arc<AuditState>, of: u64) -> Self {
        Self { shared, of, records: 0, is_over: false }
    }

    /// Counts records that are about to be given.
    pub fn add(&mut self, records: u64) {
        self.records += records;
    }

    /// Notes that the call is complete. Writes to the disk, so call it on a thread that may wait.
    pub fn finish(mut self) {
        self.is_over = true;
        self.shared.end(self.entry(true));
    }

    fn entry(&self, whole: bool) -> What {
        What::End(End { of: self.of, records: self.records, whole })
    }
}

impl Drop for Audited {
    /// A runtime's thread must not wait, so another thread writes the entry. [`super::Audit::close`] waits for it.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let entry = self.entry(false);
        match runtime::Handle::try_current() {
            Ok(runtime) => {
                let ending = self.shared.ending();
                runtime.spawn_blocking(move || ending.write(entry));
            }
            Err(_) => self.shared.end(entry),
        }
    }
}

//! What an audit log and its calls share.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use super::{chain::Chain, entry::What};
use crate::{clock::SharedClock, envelope::Keyring};

#[derive(Debug)]
pub(super) struct AuditState {
    pub(super) chain: Chain,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: SharedClock,
    pub(super) retention: Duration,
    /// End entries that are still to be written.
    endings: Mutex<usize>,
    ended: Condvar,
}

/// An end entry that is still to be written. Counted until it is dropped, written or not: a runtime that shuts down drops
/// what it has not begun.
pub(super) struct Ending(Arc<AuditState>);

impl AuditState {
    pub(super) fn new(
        chain: Chain,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        let (endings, ended) = (Mutex::new(0), Condvar::new());
        Self { chain, keyring, clock, retention, endings, ended }
    }

    /// Waits until no end entry is still to be written, for `patience` at most.
    pub(super) fn await_endings(&self, patience: Duration) {
        let endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.ended.wait_timeout_while(endings, patience, |left| *left > 0));
    }

    /// Writes an end entry. If that fails the call stays without one: what is known of it is that it began.
    pub(super) fn end(&self, entry: What) {
        if let Err(error) = self.chain.append(entry) {
            tracing::error!(%error, "how many records a call was given could not be noted");
        }
    }

    pub(super) fn ending(self: &Arc<Self>) -> Ending {
        *self.endings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ending(Arc::clone(self))
    }
}

impl Ending {
    pub(super) fn write(self, entry: What) {
        self.0.end(entry);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        *self.0.endings.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}

//! A call that was noted and gives out records.

use std::sync::Arc;

use tokio::runtime;

use super::{
    entry::{End, What},
    state::AuditState,
};

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

//! What an audit log and its calls share, and a call that was noted and gives out records.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use tokio::runtime;

use super::{
    chain::{AuditError, Chain},
    entry::{End, What},
};
use crate::{envelope::Keyring, limits, lock::lock, vocabulary::ProblemCode};

#[derive(Debug)]
pub(super) struct AuditState {
    pub(super) chain: Chain,
    pub(super) keyring: Arc<Keyring>,
    pub(super) retention: Duration,
    /// End entries that are still to be written.
    pub(super) endings: Mutex<usize>,
    pub(super) ended: Condvar,
    /// Whether a thread writes an entry.
    pub(super) is_writing: Mutex<bool>,
    pub(super) written: Condvar,
    /// Whether the last entry was written.
    pub(super) is_writable: AtomicBool,
}

/// An end entry that is still to be written. Counted until it is dropped, written or not: a runtime that shuts down drops
/// what it has not begun.
struct Ending(Arc<AuditState>);

impl AuditState {
    /// Appends the entry that `make` gives, and returns its number once it is durable. Waits for a hanging disk for a bounded
    /// time only; the entry may then be written later, and its call was given nothing.
    ///
    /// A thread of its own writes, and only one at a time: calls that wait for a hanging disk must not use up threads.
    pub(super) fn append(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Result<What, AuditError> + Send + 'static,
    ) -> Result<u64, AuditError> {
        let appended = self.append_on_thread(make);
        self.is_writable.store(appended.is_ok(), Ordering::Relaxed);
        appended
    }

    fn append_on_thread(
        self: &Arc<Self>,
        make: impl FnOnce(&Self) -> Result<What, AuditError> + Send + 'static,
    ) -> Result<u64, AuditError> {
        let patience = limits::AUDIT_ENTRY_PATIENCE;
        let is_writing = lock(&self.is_writing);
        let (mut is_writing, waited) = self
            .written
            .wait_timeout_while(is_writing, patience, |is_writing| *is_writing)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(AuditError::Hangs);
        }
        *is_writing = true;
        drop(is_writing);
        let (done, outcome) = sync_channel(1);
        let writing = Writing(Arc::clone(self));
        let write = move || {
            let appended = make(&writing.0).and_then(|what| writing.0.chain.append(what));
            drop(writing);
            // The call may have stopped waiting.
            let _ = done.send(appended);
        };
        thread::Builder::new()
            .name("audit-entry".into())
            .spawn(write)
            .map_err(AuditError::Thread)?;
        outcome.recv_timeout(patience).unwrap_or(Err(AuditError::Hangs))
    }

    /// Waits until no end entry is still to be written, for `patience` at most.
    pub(super) fn await_endings(&self, patience: Duration) {
        let endings = lock(&self.endings);
        drop(self.ended.wait_timeout_while(endings, patience, |left| *left > 0));
    }

    /// Writes an end entry. If that fails the call stays without one: what is known of it is that it began.
    fn end(self: &Arc<Self>, entry: What) {
        if let Err(error) = self.append(|_| Ok(entry)) {
            tracing::error!(%error, "how many records a call was given could not be noted");
        }
    }

    fn ending(self: &Arc<Self>) -> Ending {
        *lock(&self.endings) += 1;
        Ending(Arc::clone(self))
    }
}

/// A thread writes an entry until this is dropped, by a panic as well.
struct Writing(Arc<AuditState>);

impl Drop for Writing {
    fn drop(&mut self) {
        *lock(&self.0.is_writing) = false;
        self.0.written.notify_one();
    }
}

impl Ending {
    fn write(self, entry: What) {
        self.0.end(entry);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        *lock(&self.0.endings) -= 1;
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
    refused: Option<ProblemCode>,
    is_over: bool,
}

impl Audited {
    pub(super) fn new(shared: Arc<AuditState>, of: u64) -> Self {
        Self { shared, of, records: 0, refused: None, is_over: false }
    }

    /// The number of its first entry.
    #[cfg(test)]
    pub(crate) fn number(&self) -> u64 {
        self.of
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

    /// Notes that the call was refused, and why.
    pub fn refuse(mut self, problem: ProblemCode) {
        self.refused = Some(problem);
    }

    fn entry(&self, whole: bool) -> What {
        let refused = self.refused.map(|problem| problem.code().to_owned());
        What::End(End { of: self.of, records: self.records, whole, refused })
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

//! The audit log as its users hold it.

use std::{
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::getuid;

use super::{
    audited::Audited,
    call::Call,
    chain::Chain,
    entry::{Begin, What},
    error::AuditError,
    expiry::{self, Expired},
    filters::Filters,
    fingerprint::FingerprintKey,
    listing::{Listing, Wanted},
    verify::{self, VerifyReport},
};
use crate::{
    clock::SharedClock,
    envelope::Keyring,
    files::{OsDisk, SharedDisk},
    limits,
};

/// What an audit log is opened with.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// Its directory; made with the first entry.
    pub dir: PathBuf,
    /// The keys of the query log's hours, whose fingerprints die with them. It may be opened for reading only.
    pub keyring: Arc<Keyring>,
    /// Where time comes from.
    pub clock: SharedClock,
    /// How long an entry is kept.
    pub retention: Duration,
    /// What changes files.
    pub disk: SharedDisk,
}

impl AuditOptions {
    /// An audit log in `dir` on the machine's own disk.
    #[must_use]
    pub fn new(
        dir: PathBuf,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        Self { dir, keyring, clock, retention, disk: OsDisk::shared() }
    }
}

/// The audit log of one data directory. Cheap to clone. Its calls read and write files, so they belong on a thread that
/// may wait.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<AuditState>,
}

#[derive(Debug)]
pub(super) struct AuditState {
    pub(super) chain: Chain,
    pub(super) keyring: Arc<Keyring>,
    clock: SharedClock,
    retention: Duration,
    endings: Mutex<usize>,
    tombstones: Condvar,
}

/// An end entry that is still to be written. Counted until it is dropped, written or not: a runtime that shuts down drops
/// what it has not begun.
pub(super) struct Ending(Arc<AuditState>);

impl Audit {
    /// An audit log. Nothing is opened yet: that it cannot be written is for those to hear who want to read.
    #[must_use]
    pub fn new(options: AuditOptions) -> Self {
        let AuditOptions { dir, keyring, clock, retention, disk } = options;
        let chain = Chain::new(dir, disk, Arc::clone(&clock));
        let (endings, tombstones) = (Mutex::new(0), Condvar::new());
        let shared = AuditState { chain, keyring, clock, retention, endings, tombstones };
        Self { shared: Arc::new(shared) }
    }

    /// Notes that `operator` (a name, or [`local_user`]) makes a call. Durable when this returns, so that what is given
    /// out afterwards has its entry whatever happens.
    ///
    /// # Errors
    /// If the entry cannot be made durable. Then nothing may be given.
    pub fn begin(
        &self,
        operator: &str,
        call: Call,
        filters: &Filters,
    ) -> Result<Audited, AuditError> {
        let shared = &self.shared;
        let key = match filters.has_personal() {
            true => FingerprintKey::present(&shared.keyring, shared.clock.now())?,
            false => None,
        };
        let begin = Begin {
            operator: operator.to_owned(),
            call: call.code().to_owned(),
            filters: filters.noted(key.as_ref()),
        };
        let of = shared.chain.append(What::Begin(begin))?;
        Ok(Audited::new(Arc::clone(shared), of))
    }

    /// The calls that are noted and wanted, oldest first, each with how it ended.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn list(&self, wanted: Wanted) -> Result<Listing, AuditError> {
        Listing::new(&self.shared, wanted)
    }

    /// Reads the whole chain and says where it is not what was written.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn verify(&self) -> Result<VerifyReport, AuditError> {
        verify::verify(&self.shared.chain)
    }

    /// Removes the days that are older than the retention. To be called now and then; calling it again is harmless.
    ///
    /// # Errors
    /// If a file cannot be removed; the next call tries again.
    pub fn expire(&self) -> Result<Expired, AuditError> {
        let shared = &self.shared;
        expiry::expire(&shared.chain, shared.retention, shared.clock.now())
    }

    /// Waits until the calls that broke off have their end entries, for a few seconds at most. To be called once no call
    /// is under way.
    pub fn close(&self) {
        let shared = &self.shared;
        let endings = shared.endings.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = limits::AUDIT_CLOSE_PATIENCE;
        let waited = shared.tombstones.wait_timeout_while(endings, patience, |left| *left > 0);
        drop(waited);
    }
}

impl AuditState {
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
        self.0.tombstones.notify_all();
    }
}

/// Who reads files by the command line: `local:` and the user's number. No operator's name has a colon.
#[must_use]
pub fn local_user() -> String {
    format!("local:{}", getuid().as_raw())
}

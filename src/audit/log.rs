//! The audit log as its users hold it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustix::process::getuid;

use super::{
    audited::Audited,
    call::Call,
    chain::Chain,
    entry::{Begin, What},
    error::AuditError,
    expiry,
    filters::Filters,
    fingerprint::FingerprintKey,
    listing::{Listing, Wanted},
    state::AuditState,
    verify::{self, VerifyReport},
};
use crate::{
    clock::SharedClock,
    envelope::Keyring,
    files::{OsDisk, SharedDisk},
    limits,
};

/// The audit log of one data directory. Cheap to clone. Its calls read and write files, so they belong on a thread that
/// may wait.
#[derive(Clone, Debug)]
pub struct Audit {
    shared: Arc<AuditState>,
}

impl Audit {
    /// An audit log in `dir`, which the first entry creates. Nothing is opened yet: an error is for those who want to read.
    ///
    /// The `keyring` has the keys of the query log's hours, whose fingerprints die with them. It may be opened for reading
    /// only.
    pub fn new(
        dir: PathBuf,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        Self::on_disk(OsDisk::shared(), dir, keyring, clock, retention)
    }

    /// As [`Audit::new`], with `disk` for all changes of files.
    pub(super) fn on_disk(
        disk: SharedDisk,
        dir: PathBuf,
        keyring: Arc<Keyring>,
        clock: SharedClock,
        retention: Duration,
    ) -> Self {
        let chain = Chain::new(dir, disk, Arc::clone(&clock));
        Self { shared: Arc::new(AuditState::new(chain, keyring, clock, retention)) }
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
    pub fn list(&self, wanted: Wanted) -> Result<Listing, AuditError> {
        Listing::new(&self.shared, wanted)
    }

    /// Reads the whole chain and says where it is not what was written.
    pub fn verify(&self) -> Result<VerifyReport, AuditError> {
        verify::verify(&self.shared.chain)
    }

    /// Removes the days that are older than the retention, and returns their number. To be called now and then; calling it again is harmless.
    ///
    /// # Errors
    /// If a file cannot be removed; the next call tries again.
    pub fn expire(&self) -> Result<usize, AuditError> {
        let shared = &self.shared;
        expiry::expire(&shared.chain, shared.retention, shared.clock.now())
    }

    /// Waits until the calls that broke off have their end entries, for a few seconds at most. To be called once no call
    /// is under way.
    pub fn close(&self) {
        self.shared.await_endings(limits::AUDIT_CLOSE_PATIENCE);
    }
}

/// Who reads files by the command line: `local:` and the user's number. No operator's name has a colon.
pub fn local_user() -> String {
    format!("local:{}", getuid().as_raw())
}

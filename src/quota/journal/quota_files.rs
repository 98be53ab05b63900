//! [`QuotaFiles`]: the directory of the quota's files, and the keys that they are under.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use zeroize::Zeroizing;

use super::{name::FileName, reader::ReadFile};
use crate::{
    envelope::{FileError, Keyring},
    files::SharedDisk,
    quota::fingerprint::KEY_BYTES,
    redacted::redacted_debug,
};

/// Where the quota's files are, and how they are encrypted and forgotten.
#[derive(Clone)]
pub struct QuotaFiles {
    /// The directory; created with mode 0700 if it does not exist.
    pub dir: PathBuf,
    /// Performs every change of the files.
    pub disk: SharedDisk,
    /// The keys of the query log's hours.
    pub keyring: Arc<Keyring>,
    /// How long the log keeps the key of an hour. A handle that was asked for before that is new again.
    pub retention: Duration,
    /// The key of the fingerprints that all nodes of a cluster have. None for a machine alone, which has one in its files.
    pub shared_key: Option<Zeroizing<[u8; KEY_BYTES]>>,
}

redacted_debug!(QuotaFiles);

impl QuotaFiles {
    pub(super) fn path(&self, name: FileName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    pub(super) fn open(&self, name: FileName) -> Result<ReadFile, FileError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the key of its hour is missing");
        let key = self.keyring.get(name.hour).ok_or_else(missing)?;
        ReadFile::open(&self.path(name), name, &key)
    }

    pub(super) fn key_of(&self, name: FileName) -> Option<[u8; KEY_BYTES]> {
        self.open(name).ok()?.key().ok()?
    }
}

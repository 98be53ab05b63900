//! Why the audit log cannot be written or read.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{envelope::KeyringError, files::LockError};

/// Why the audit log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Another process has held the lock for too long, or it cannot be taken.
    #[error("the audit log cannot be written or read: {0}")]
    Lock(#[from] LockError),
    /// There is no key to take fingerprints with.
    #[error("the audit log cannot be written: {0}")]
    Keyring(#[from] KeyringError),
    /// A file or the directory cannot be read or written.
    #[error("the audit log cannot be written or read: {}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> AuditError + '_ {
    move |source| AuditError::Io { path: path.to_owned(), source }
}

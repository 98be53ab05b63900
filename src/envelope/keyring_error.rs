//! What can be wrong with the keys. Each fault has a variant of its own, because each needs another action of the operator.

use std::{io, path::PathBuf};

/// Why the keyring cannot be opened or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A keyring or encrypted files are there, but not the root key.
    #[error(
        "{}: the root key is missing, but encrypted data exists; put the file back, or use a new data directory",
        .0.display()
    )]
    RootKeyMissing(PathBuf),
    /// `keys.root_key` lies in a directory that does not exist.
    #[error(
        "{}: the directory of the root key does not exist; run: install -d -m 700 {}",
        .0.display(), .0.display()
    )]
    NoDirectory(PathBuf),
    /// Encrypted files are there, but no keyring.
    #[error(
        "{}: the keyring is missing, but encrypted data exists; put the file back, or use a new data directory",
        .0.display()
    )]
    KeyringMissing(PathBuf),
    /// The root key is another one than the keyring was written under: one of the two comes from a backup.
    #[error("{}: this root key does not open the keyring {}", .root_key.display(), .keyring.display())]
    WrongRootKey {
        /// The root key's file.
        root_key: PathBuf,
        /// The keyring's file.
        keyring: PathBuf,
    },
    /// The file's content is not what was written.
    #[error("{}: damaged", .0.display())]
    Damaged(PathBuf),
    /// Others than the owner may read a secret.
    #[error(
        "{}: mode {mode:03o} lets others read it; run: chmod {wanted:03o} {}",
        .path.display(), .path.display()
    )]
    TooOpen {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What they should be.
        wanted: u32,
    },
    /// Opened for reading only.
    #[error("{}: opened for reading only", .0.display())]
    ReadOnly(PathBuf),
    /// The operating system refuses.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

//! Why an export does not come about.

use std::{error::Error, io, path::PathBuf};

/// Why no file was made; an older one of its name is as it was. No content of a row is in it.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The Parquet encoder failed, for want of space perhaps.
    #[error("{}: cannot be written as Parquet: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The text names nobody who could decrypt. It is not quoted: somebody may have taken the secret key for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// Not an `age1…` key.
    #[error("not an age recipient (age1…): {0}")]
    Unreadable(&'static str),
    /// An identity, which decrypts.
    #[error(
        "this is a secret key, by which files are decrypted; take the age1… that belongs to it"
    )]
    Secret,
}

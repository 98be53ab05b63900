//! Why an export fails.

use std::{error::Error, io, path::PathBuf};

/// Why no file was made. An older file of the same name is unchanged. The text holds no content of a row.
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
    /// The Parquet encoder failed, perhaps because the disk is full.
    #[error("{}: cannot be written as Parquet: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// The text is no recipient. The message does not quote it: it may be the secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// Not an `age1…` key.
    #[error("not an age recipient (age1…): {0}")]
    Unreadable(&'static str),
    /// An identity, which decrypts.
    #[error(
        "this is a secret key, which decrypts files; give the age1… recipient that belongs to it"
    )]
    Secret,
}

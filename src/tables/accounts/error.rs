//! Why a file could not be staged or written.

use std::{error::Error, io, path::PathBuf};

use super::{bad_rows::BadRows, columns::ColumnError, kind::KindError};

/// Why nothing was staged. No content of a row is in it.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The file's name says no format.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// The source cannot be read.
    #[error("the source cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The source changed between the beginning and the end.
    #[error("the source changed while it was read")]
    SourceChanged,
    /// The header is at fault.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// A record has no end within [`crate::limits::IMPORT_RECORD_BYTES_MAX`].
    #[error("the record on line {line} is too long: is there a quote that is not closed?")]
    RecordTooLong {
        /// The line on which it begins.
        line: u64,
    },
    /// The Parquet file is damaged, or uses what cannot be read.
    #[error("the Parquet file cannot be read: {0}")]
    Parquet(#[source] Box<dyn Error + Send + Sync>),
    /// Some rows are bad, and bad rows were not to be skipped.
    #[error("{} rows are bad", .0.total())]
    BadRows(BadRows),
    /// The staged file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why an export failed. The file was not made, or an older one of its name is as it was.
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
    /// The Parquet encoder failed.
    #[error("the Parquet file cannot be written: {0}")]
    Parquet(#[source] Box<dyn Error + Send + Sync>),
}

//! Why a staging failed.

use std::{error::Error, io, path::PathBuf};

use super::{bad_rows::BadRows, columns::ColumnError, kind::KindError};

/// Why a file was not staged. The error contains no content of a row.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The ending of the file name is no known format.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// An I/O error occurred on the source.
    #[error("the source cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The source changed during the staging.
    #[error("the source changed while it was read")]
    SourceChanged,
    /// The header is invalid.
    #[error(transparent)]
    Columns(#[from] ColumnError),
    /// A record is longer than [`crate::limits::IMPORT_RECORD_BYTES_MAX`].
    #[error("the record on line {line} is too long; check whether its quotes are closed")]
    RecordTooLong {
        /// The line on which the record begins.
        line: u64,
    },
    /// The Parquet file is damaged, or uses an unsupported feature.
    #[error("the Parquet file cannot be read: {0}")]
    Parquet(#[source] Box<dyn Error + Send + Sync>),
    /// Some rows are bad, and the options do not skip bad rows.
    #[error("{} rows are bad", .0.total())]
    BadRows(BadRows),
    /// The staged file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The directory of the staged file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

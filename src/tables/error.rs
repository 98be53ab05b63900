//! [`ExportError`]: why an export failed.

use std::{io, path::PathBuf};

/// Why an export failed. No file was created, and an older file of the same name is unchanged. The error contains no
/// content of a row.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}", path.display())]
pub struct ExportError {
    /// The file of the export.
    pub path: PathBuf,
    /// The I/O error, or the error of the Parquet encoder.
    pub source: io::Error,
}

//! [`StagedError`]: why a staged file cannot be used.

use std::io;

/// Why a staged file cannot be used. The error contains no content of the file.
#[derive(Debug, thiserror::Error)]
pub enum StagedError {
    /// An I/O error occurred.
    #[error("the staged file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The file does not begin with the magic.
    #[error("the file is not a staged file")]
    NotStaged,
    /// A later version of this program wrote the file.
    #[error("the staged file has the unknown version {0}")]
    Version(u32),
    /// The file ends early.
    #[error("the staged file is cut off")]
    CutOff,
    /// A checksum does not match.
    #[error("the staged file is damaged")]
    Damaged,
    /// The checksums match, but the content is impossible.
    #[error("the content of the staged file is impossible: {0}")]
    Invalid(&'static str),
}

impl From<io::Error> for StagedError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Read(error),
        }
    }
}

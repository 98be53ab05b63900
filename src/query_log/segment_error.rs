//! Why a segment cannot be read, in either form.

use std::io;

use crate::envelope::{ChunkFileError, FrameFileError};

#[derive(Debug)]
pub(crate) enum SegmentError {
    /// The file does not exist any more, or its header is not committed yet.
    Gone,
    /// The keyring has no key for its hour.
    NoKey,
    /// Its header, or the footer of a sealed file with its copy, is damaged or names another segment.
    Unreadable,
    /// The operating system cannot read the file.
    Io(io::Error),
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Gone } else { Self::Io(error) }
    }
}

impl From<FrameFileError> for SegmentError {
    fn from(error: FrameFileError) -> Self {
        match error {
            FrameFileError::Io(error) => error.into(),
            FrameFileError::Header(_) => Self::Unreadable,
        }
    }
}

impl From<ChunkFileError> for SegmentError {
    fn from(error: ChunkFileError) -> Self {
        match error {
            ChunkFileError::Io(error) => error.into(),
            _ => Self::Unreadable,
        }
    }
}

//! Why a segment cannot be read, in either form, and why it is not sealed.

use std::io;

use crate::envelope::FileError;

#[derive(Debug)]
pub(crate) enum SegmentError {
    /// The file does not exist any more, or its header is not committed yet.
    Gone,
    /// The keyring has no key for its hour.
    NoKey,
    /// Its header, or the footer of a sealed file with its copy, is damaged or names another segment.
    Unreadable,
    Io(io::Error),
}

/// Why a segment is not sealed. It keeps its frames.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The frames are damaged.
    #[error("the frames are damaged, and the segment keeps them: {0}")]
    Damaged(&'static str),
    /// The sealed file does not hold what the frames hold.
    #[error("the sealed file differs from the frames: {0}")]
    Differs(&'static str),
    /// Its key is gone.
    #[error("its hour has expired")]
    Expired,
    /// The caller asked the sealer to stop.
    #[error("interrupted")]
    Stopped,
}

impl From<SegmentError> for SealError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Io(error) => Self::Io(error),
            SegmentError::NoKey => Self::Expired,
            SegmentError::Gone | SegmentError::Unreadable => Self::Differs("it cannot be read"),
        }
    }
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Gone } else { Self::Io(error) }
    }
}

impl From<FileError> for SegmentError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io(error) => error.into(),
            _ => Self::Unreadable,
        }
    }
}

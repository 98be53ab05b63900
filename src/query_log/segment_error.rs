//! Why a segment cannot be read, in either form.

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
    /// The operating system cannot read the file.
    Io(io::Error),
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

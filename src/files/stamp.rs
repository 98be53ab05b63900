//! Whether a file has changed since it was read.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

/// Tells one state of a file from another: a replaced file has another inode, a changed one another change time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl FileStamp {
    /// The present state of the file at `path`.
    pub fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::read(&metadata))
    }

    /// The present state of an open file.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::read(&metadata))
    }

    fn read(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { inode: metadata.ino(), bytes: metadata.len(), changed }
    }
}

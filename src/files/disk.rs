//! The changes that this service makes to files, behind a trait, so that a test can stop the world between any two.
//!
//! Reading does not go through it: reading leaves nothing behind.

use std::{fmt, io, path::Path, sync::Arc};

/// Changes directories.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates `path` and its missing parents with mode 0700. No error if it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a file with mode 0600; an error if the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file to append to it or to change it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file and replaces the file of that name. Durable only after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name. Durable only after [`Disk::sync_dir`].
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// A file open for change.
pub trait DiskFile: Send + fmt::Debug {
    /// Writes all of `bytes` at the end.
    ///
    /// # Errors
    /// What the operating system says; then any prefix may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable (fdatasync).
    ///
    /// # Errors
    /// What the operating system says; then it is not known what is on disk, and a second call may report success falsely.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Overwrites the whole content with zeros, in place.
    fn wipe(&mut self) -> io::Result<()>;
}

/// A disk that several modules share.
pub type SharedDisk = Arc<dyn Disk>;

//! The changes that this service makes to files, behind a trait, so that a test can stop the world between any two.
//!
//! Reading does not go through it: reading leaves nothing behind.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

use super::{directory, open};

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
    /// After an error, any prefix may have been written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable (fdatasync).
    /// After an error, the content on disk is unknown, and a second call may report success falsely.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether somebody has removed the file. Then everything in it is lost once it is closed.
    fn is_removed(&self) -> io::Result<bool> {
        Ok(false)
    }

    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Overwrites the whole content with zeros, in place.
    fn wipe(&mut self) -> io::Result<()>;
}

/// A disk that several modules share.
pub type SharedDisk = Arc<dyn Disk>;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl OsDisk {
    /// A shared handle of the machine's file system.
    pub fn shared() -> SharedDisk {
        Arc::new(Self)
    }
}

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        directory::create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OsFile(open::create(path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut file = open::without_waiting(OpenOptions::new().write(true)).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Box::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        directory::sync_dir(path)
    }
}

// Positioned by its own offset and not O_APPEND: Linux would append even a positioned write, and wiping needs those.
#[derive(Debug)]
struct OsFile(File);

impl DiskFile for OsFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn is_removed(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() == 0)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.seek(SeekFrom::Start(len)).map(drop)
    }

    fn wipe(&mut self) -> io::Result<()> {
        let bytes = self.0.metadata()?.len();
        self.0.rewind()?;
        io::copy(&mut io::repeat(0).take(bytes), &mut self.0).map(drop)
    }
}

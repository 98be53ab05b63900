//! The few ways in which this service changes files, behind a trait, so that a test can stop the world between any two.
//!
//! Only changes go through it: reading is plain `std::fs`, since reading leaves nothing behind.

use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use super::owner;

/// Bytes of zeros written at once when a file is wiped.
const WIPE_CHUNK_BYTES: usize = 4096;

/// What changes a directory.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes `path` and its parents, readable by the owner only. No error if it is there.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a new file with mode 0600, its directory's owner's; an error if the name is taken.
    ///
    /// # Errors
    /// What the operating system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, to append to it or to change it.
    ///
    /// # Errors
    /// What the operating system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames, replacing what has the new name. Durable only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name. Durable only after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// What the operating system says.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the operating system says.
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
    /// What the operating system says; then nothing is known about what is on disk, and asking again lies.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Overwrites the whole content with zeros, in place.
    ///
    /// # Errors
    /// What the operating system says.
    fn wipe(&mut self) -> io::Result<()>;
}

/// A disk shared by the rooms.
pub type SharedDisk = Arc<dyn Disk>;

/// The machine's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl OsDisk {
    /// The machine's file system, to share.
    #[must_use]
    pub fn shared() -> SharedDisk {
        Arc::new(Self)
    }
}

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        owner::give_to_owner_of(owner::parent(path), &File::open(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        owner::give_to_owner_of(owner::parent(path), &file)?;
        Ok(Box::new(OsFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Box::new(OsFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // fsync, not fdatasync: some file systems take the latter as a no-op on a directory.
        File::open(path)?.sync_all()
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

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)?;
        self.0.seek(SeekFrom::Start(len)).map(drop)
    }

    fn wipe(&mut self) -> io::Result<()> {
        let zeros = [0; WIPE_CHUNK_BYTES];
        let mut left = self.0.metadata()?.len();
        self.0.seek(SeekFrom::Start(0))?;
        while left > 0 {
            let now =
                usize::try_from(left).map_or(WIPE_CHUNK_BYTES, |left| left.min(WIPE_CHUNK_BYTES));
            self.0.write_all(&zeros[..now])?;
            left -= now as u64;
        }
        Ok(())
    }
}

/// Puts `bytes` in place of the file at `path`, as one step: after a crash there is the old file or the new one.
///
/// With `wipe_old` the bytes of the replaced file are overwritten through a handle opened before, since a rename only
/// drops their name. Best effort: a file system that copies on write, or a disk that remaps blocks, keeps the old bytes
/// anyway. The caller must not depend on it where such media are in use; full-disk encryption is the answer there.
///
/// A crash leaves `path` as it was and perhaps a `.new` file beside it, which [`discard`] removes at the next start.
pub(super) fn replace(
    disk: &dyn Disk,
    path: &Path,
    bytes: &[u8],
    wipe_old: bool,
) -> io::Result<()> {
    let fresh = fresh_name(path);
    discard(disk, &fresh)?;
    let mut file = disk.create(&fresh)?;
    file.append(bytes)?;
    file.sync()?;
    let old = if wipe_old && path.exists() { Some(disk.open(path)?) } else { None };
    disk.rename(&fresh, path)?;
    sync_parent(disk, path)?;
    // Only now: before the new name is durable, a crash may bring the old file back, and it must still be whole.
    if let Some(mut old) = old {
        old.wipe()?;
        old.sync()?;
    }
    Ok(())
}

/// Wipes and removes a left-over file, if there is one.
pub(super) fn discard(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut file = disk.open(path)?;
    file.wipe()?;
    file.sync()?;
    disk.unlink(path)?;
    sync_parent(disk, path)
}

/// The name under which the next version of `path` is prepared.
pub(super) fn fresh_name(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn sync_parent(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.sync_dir(owner::parent(path))
}

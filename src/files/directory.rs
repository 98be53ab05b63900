//! Directories, and whose a new file is.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, fchown},
    path::Path,
};

/// Creates a directory and its missing parents with mode 0700. No error if it exists; its mode then stays.
pub fn create_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    create_dir(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process created it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => give_to_owner_of(parent, &File::open(path)?),
    }
}

/// The names in a directory, in no order.
pub fn names(path: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Bytes of the disk that a directory lies on.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes that this process may still use.
    pub free: u64,
    /// All of them.
    pub total: u64,
}

/// A disk's reserve is at most one part in this many.
const RESERVE_PART: u64 = 20;

impl Space {
    /// Bytes that are left to other programs, if `wanted` are to be: not more than a twentieth of the disk.
    pub fn reserve(self, wanted: u64) -> u64 {
        wanted.min(self.total / RESERVE_PART)
    }

    /// Whether less is free than the reserve. Once it was low, an eighth more must be free, so that service does not stop and go.
    pub fn is_low(self, wanted: u64, was_low: bool) -> bool {
        let least = self.reserve(wanted);
        self.free < if was_low { least / 8 * 9 } else { least }
    }
}

/// The space of the disk that a directory lies on.
pub fn space_of(path: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(Space { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
}

/// The number of the disk that a directory lies on.
pub(super) fn disk_of(path: &Path) -> io::Result<u64> {
    Ok(path.metadata()?.dev())
}

/// Makes the names in a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    // fsync, not fdatasync: some file systems take the latter as a no-op on a directory.
    File::open(path)?.sync_all()
}

/// The directory that `path` lies in; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Gives `file`, which root has created, to the owner of `dir`.
pub(super) fn give_to_owner_of(dir: &Path, file: &File) -> io::Result<()> {
    let (owner, is) = (fs::metadata(dir)?, file.metadata()?);
    // Only root can give files away. Anybody else writes in a directory that was opened to a group on purpose.
    if is.uid() != 0 || (owner.uid(), owner.gid()) == (is.uid(), is.gid()) {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

//! Atomic replacement: a file appears complete or not at all, because it is written under another name, synced and
//! renamed.
//!
//! The other name is the file's own with `.new` appended. A process that is killed leaves that file; the next attempt to
//! write the same file replaces it.
//!
//! ```text
//! 1  create PATH.new, write it, sync it    crash after: PATH as before, and PATH.new
//! 2  rename PATH.new to PATH               crash after: the old file or the new one
//! 3  sync the directory                    the new file is durable
//! 4  overwrite the old file's bytes        secrets only; never earlier, since a crash after 2 may bring the old name back
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    directory,
    disk::{Disk, DiskFile, OsDisk, SharedDisk},
    open,
};

const UNFINISHED_ENDING: &str = ".new";

/// A file being written, with mode 0600. Dropped before [`AtomicFile::keep`], it is removed.
#[derive(Debug)]
pub struct AtomicFile {
    /// The file, to write to it. Locked for as long as it is open.
    pub file: File,
    disk: SharedDisk,
    /// The same file, for the changes that go through the disk.
    synced: Box<dyn DiskFile>,
    path: PathBuf,
    is_secret: bool,
    is_kept: bool,
}

impl AtomicFile {
    /// Begins the file that will be at `path`, and removes what an interrupted attempt left.
    /// `ResourceBusy` if another process is writing it at this moment.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::create_on(&OsDisk::shared(), path, false)
    }

    fn create_on(disk: &SharedDisk, path: &Path, is_secret: bool) -> io::Result<Self> {
        let unfinished = clear(&**disk, path, is_secret)?;
        let synced = disk.create(&unfinished)?;
        Self::adopt(disk, path, synced, is_secret)
    }

    /// Has the file that will be at `path` written by `make`, which gets the name to write to.
    /// If `make` fails, what it wrote is removed.
    pub fn made_by<E: From<io::Error>>(
        path: &Path,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Self, E> {
        let disk = OsDisk::shared();
        let unfinished = clear(&*disk, path, false)?;
        let made = make(&unfinished).and_then(|()| Ok(disk.open(&unfinished)?));
        match made {
            Ok(synced) => Ok(Self::adopt(&disk, path, synced, false)?),
            Err(error) => {
                let _ = disk.unlink(&unfinished);
                Err(error)
            }
        }
    }

    fn adopt(
        disk: &SharedDisk,
        path: &Path,
        synced: Box<dyn DiskFile>,
        is_secret: bool,
    ) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(unfinished_name(path))?;
        lock(&file)?;
        let (disk, path) = (Arc::clone(disk), path.to_owned());
        Ok(Self { file, disk, synced, path, is_secret, is_kept: false })
    }

    /// The name it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle of the unfinished file, to read it from its start.
    pub fn written(&self) -> io::Result<File> {
        File::open(unfinished_name(&self.path))
    }

    /// Makes the file durable and gives it its name, replacing the file of that name.
    pub fn keep(mut self) -> io::Result<()> {
        self.synced.sync()?;
        let is_replaced = self.is_secret && self.path.try_exists()?;
        let old = if is_replaced { Some(self.disk.open(&self.path)?) } else { None };
        self.disk.rename(&unfinished_name(&self.path), &self.path)?;
        self.is_kept = true;
        self.disk.sync_dir(directory::parent(&self.path))?;
        if let Some(mut old) = old {
            old.wipe()?;
            old.sync()?;
        }
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // Best effort: the next attempt removes it, too.
        if self.is_secret {
            let _ = self.synced.wipe();
        }
        let _ = self.disk.unlink(&unfinished_name(&self.path));
    }
}

impl io::Write for AtomicFile {
    #[expect(clippy::disallowed_methods, reason = "this hands the caller's own call on")]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Replaces the file at `path`, as one step: after a crash it has the old content or the new.
///
/// # Errors
/// What the operating system says. Then the old file is there, or the new one and its name may not be durable.
pub fn replace(disk: &SharedDisk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create_on(disk, path, false)?;
    file.synced.append(bytes)?;
    file.keep()
}

/// Like [`replace`], and overwrites the bytes of the old file and of unfinished ones.
///
/// Best effort: a file system that copies on write, or a disk that remaps blocks, keeps the old bytes anyway. The caller
/// must not depend on it where such media are in use; full-disk encryption is the answer there.
pub fn replace_secret(disk: &SharedDisk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create_on(disk, path, true)?;
    file.synced.append(bytes)?;
    file.keep()
}

/// Overwrites and removes what an interrupted replacement of `path` left, if anything.
pub fn discard_secret(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let unfinished = unfinished_name(path);
    if !unfinished.try_exists()? {
        return Ok(());
    }
    let mut file = disk.open(&unfinished)?;
    file.wipe()?;
    file.sync()?;
    disk.unlink(&unfinished)?;
    disk.sync_dir(directory::parent(path))
}

/// Removes what interrupted attempts left in `directory`, of files whose names end in `ending`.
pub fn remove_leftovers(directory: &Path, ending: &str) -> io::Result<()> {
    let ending = format!("{ending}{UNFINISHED_ENDING}");
    for name in directory::names(directory)? {
        if name.to_string_lossy().ends_with(&ending) {
            fs::remove_file(directory.join(name))?;
        }
    }
    Ok(())
}

/// The name under which the next version of `path` is written.
pub fn unfinished_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED_ENDING);
    name.into()
}

/// Removes what an interrupted attempt left. Returns the name to write to. What is no regular file was not left by one.
fn clear(disk: &dyn Disk, path: &Path, is_secret: bool) -> io::Result<PathBuf> {
    let unfinished = unfinished_name(path);
    if fs::symlink_metadata(&unfinished).is_ok_and(|found| !found.is_file()) {
        let why = format!("{} is not a regular file; remove it", unfinished.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    if let Ok(left_over) = open::open(&unfinished) {
        lock(&left_over)?;
        if is_secret {
            discard_secret(disk, path)?;
        } else {
            disk.unlink(&unfinished)?;
        }
    }
    Ok(unfinished)
}

/// Locks an unfinished file until it is closed. Without the lock, two processes that write the same file would each take
/// the other's for a leftover. The first to finish would then rename the other's unfinished file.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let why = "another process is writing this file at this moment";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
        }
        // A file system without locks: two writers are not detected there.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "old").unwrap();
        fs::write(dir.path().join("a.csv.new"), "left over").unwrap();

        let mut fresh = AtomicFile::create(&path).unwrap();
        fresh.file.write_all(b"half").unwrap();
        drop(fresh);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let mut fresh = AtomicFile::create(&path).unwrap();
        fresh.file.write_all(b"whole").unwrap();
        fresh.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_cannot_write_the_same_file_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut first = AtomicFile::create(&path).unwrap();
        assert_eq!(AtomicFile::create(&path).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        first.write_all(b"whole").unwrap();
        first.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        drop(AtomicFile::create(&path).unwrap());
        assert!(AtomicFile::create(&path).is_ok());
    }

    #[test]
    fn a_link_under_the_name_of_an_unfinished_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let [path, link, other] = ["a.csv", "a.csv.new", "other"].map(|name| dir.path().join(name));
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let refused = AtomicFile::create(&path).unwrap_err();
        assert!(refused.to_string().contains("a.csv.new is not a regular file"), "{refused}");
        assert_eq!(
            (fs::read_link(&link).unwrap(), fs::read(&other).unwrap()),
            (other, b"mine".into())
        );
    }

    #[test]
    fn only_what_was_left_over_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.staged", "b.staged.new", "c.new"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        remove_leftovers(dir.path(), ".staged").unwrap();
        assert!(dir.path().join("a.staged").exists() && dir.path().join("c.new").exists());
        assert!(!dir.path().join("b.staged.new").exists());
    }
}

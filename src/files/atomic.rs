//! A file that is there whole or not at all: written under another name, synced, renamed.
//!
//! The other name is the file's own with `.new` behind it, so that whoever meets one knows what it is. A process that is
//! killed leaves it; the next attempt at the same file replaces it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What the name of a file ends in until it is whole.
const FRESH_ENDING: &str = ".new";

/// A file being written, readable by its owner only. Dropped before [`AtomicFile::keep`], it goes away.
#[derive(Debug)]
pub struct AtomicFile {
    /// The file, to be written.
    pub file: File,
    path: PathBuf,
    is_kept: bool,
}

impl AtomicFile {
    /// Begins the file that will be at `path`. What an earlier, interrupted attempt left is replaced.
    ///
    /// # Errors
    /// If it cannot be made, or another process is writing it at this moment.
    pub fn create(path: &Path) -> io::Result<Self> {
        let fresh = cleared(path)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        lock(&file)?;
        Ok(Self { file, path: path.to_owned(), is_kept: false })
    }

    /// Has the file that will be at `path` made by `make`, under the name that it is given.
    ///
    /// # Errors
    /// If `make` fails; what it made goes away.
    pub fn made_by<E: From<io::Error>>(
        path: &Path,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Self, E> {
        let fresh = cleared(path)?;
        let made = make(&fresh).and_then(|()| Ok(OpenOptions::new().write(true).open(&fresh)?));
        match made {
            Ok(file) => Ok(Self { file, path: path.to_owned(), is_kept: false }),
            Err(error) => {
                let _ = fs::remove_file(fresh);
                Err(error)
            }
        }
    }

    /// The name it will have.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was written so far, to be read.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn written(&self) -> io::Result<File> {
        File::open(fresh_name(&self.path))
    }

    /// Makes it durable and gives it its name, replacing what has it.
    ///
    /// # Errors
    /// If it cannot be synced or renamed.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(fresh_name(&self.path), &self.path)?;
        self.is_kept = true;
        sync_dir(parent(&self.path))
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // Best effort: the next attempt removes it, too.
            let _ = fs::remove_file(fresh_name(&self.path));
        }
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

/// Says that this file is being written, until it is closed. Without it two who write the same file would take each
/// other's for a leftover, and the first to end would give the other's half its name.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let told = "another process is writing this file at this moment";
            Err(io::Error::new(io::ErrorKind::ResourceBusy, told))
        }
        // A file system without locks: nothing is worse than it was.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The name under which a file is written, with nothing there.
fn cleared(path: &Path) -> io::Result<PathBuf> {
    let fresh = fresh_name(path);
    if let Ok(left_over) = OpenOptions::new().write(true).open(&fresh) {
        lock(&left_over)?;
    }
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(fresh),
    }
}

/// Makes a directory and its parents, readable by the owner only.
///
/// # Errors
/// If it cannot be made.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes what interrupted attempts left in `directory`, of files whose names end in `ending`.
///
/// # Errors
/// If the directory cannot be read, or something in it cannot be removed.
pub fn remove_leftovers(directory: &Path, ending: &str) -> io::Result<()> {
    let ending = format!("{ending}{FRESH_ENDING}");
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&ending)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn fresh_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(FRESH_ENDING);
    name.into()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
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

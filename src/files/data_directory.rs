//! The data directory as a whole: the version of its formats, and the process that changes it.
//!
//! `format` holds the version of all formats below the directory, as a decimal number and a line feed. It is written before
//! anything else but the lock file. A directory of the two versions before becomes one of this version when it is opened: what the
//! versions added appears by itself, the registry's store upgrades itself, and it takes the list of operators over. Accounts of an
//! older version move by `registry export` and `registry import`.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    atomic,
    directory::{create_dir, names},
    disk::OsDisk,
    lock::{FileLock, LOCK_FILE_NAME, LockError},
    open::{if_exists, read_small},
};

/// The version that this binary reads and writes. To be raised with every change of a format on disk.
const FORMAT_VERSION: u32 = 5;
/// The oldest version that this binary reads, too. To be raised with the next change that an upgrade cannot follow.
const FORMAT_VERSION_OLDEST: u32 = 3;

const FORMAT_FILE_NAME: &str = "format";
/// Names that an unused directory may hold: a crash before `format` was written leaves the first two; the last is in every
/// new file system.
const IGNORED_NAMES: &[&str] = &[LOCK_FILE_NAME, "format.new", "lost+found"];

/// A data directory that this process may change. No other process has one on the same directory.
#[derive(Debug)]
pub struct DataDirectory {
    _lock: FileLock,
}

/// Why a directory cannot be used as a data directory.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    /// There is no directory.
    #[error(
        "{} is no data directory: it does not exist. Name the server's directory with --data or server.data, or run this where \
         the server was started. `dispatchd serve` makes a new one",
        std::path::absolute(.0).as_ref().unwrap_or(.0).display()
    )]
    Missing(PathBuf),
    /// It has files, but no `format`.
    #[error(
        "{} is no data directory of this version: it has no file \"format\". If an older dispatchd made \
         it, run `dispatchd registry export` with that binary, then `dispatchd registry import` with this one into a new \
         directory. If it is not a data directory, name another one",
        .0.display()
    )]
    NoFormat(PathBuf),
    /// Its files have another version.
    #[error(
        "{}: its files have format version {found}, and this dispatchd reads version {FORMAT_VERSION}. Use the binary \
         that made it; or run `dispatchd registry export` with that binary, then `dispatchd registry import` with this \
         one into a new directory",
        .path.display()
    )]
    OtherVersion {
        /// The directory.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// `format` does not hold a number.
    #[error("{}: damaged: it must hold the number of a format version alone", .0.display())]
    Damaged(PathBuf),
    /// Another process changes it.
    #[error(
        "data directory {}: in use by another dispatchd{}: a server, or a command with --data. Stop it first, or name another \
         data directory",
        .path.display(), .pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, if it is known.
        pid: Option<u32>,
    },
    /// It cannot be locked.
    #[error(transparent)]
    Lock(LockError),
    /// It cannot be created or read.
    #[error("data directory {}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataDirectory {
    /// Opens the directory at `path` to change it. One that is missing, holds no files or has an older version that is read
    /// becomes a data directory of this version.
    ///
    /// # Errors
    /// See [`DataDirectoryError`]. A directory that is refused stays as it is.
    pub fn open(path: &Path) -> Result<Self, DataDirectoryError> {
        create_dir(path).map_err(io_at(path))?;
        version(path)?;
        let mut lock = FileLock::of_directory(path).map_err(|error| match error {
            LockError::Held { pid, .. } => DataDirectoryError::InUse { path: path.to_owned(), pid },
            error @ LockError::Io { .. } => DataDirectoryError::Lock(error),
        })?;
        lock.note_pid();
        // Before anything is written in its form: the binary of the older version must refuse the directory from now on.
        if version(path)? != Some(FORMAT_VERSION) {
            let text = format!("{FORMAT_VERSION}\n");
            let file = path.join(FORMAT_FILE_NAME);
            atomic::replace(&OsDisk::shared(), &file, text.as_bytes()).map_err(io_at(path))?;
        }
        Ok(Self { _lock: lock })
    }

    /// Makes the directory at `path` a data directory if it is missing or holds no files. A server may be running on it.
    pub fn prepare(path: &Path) -> Result<(), DataDirectoryError> {
        if path.is_dir() && version(path)?.is_some() { Ok(()) } else { Self::open(path).map(drop) }
    }

    /// The process that changes the directory at `path`, if there is one: its id, if it is known.
    pub fn user(path: &Path) -> Result<Option<Option<u32>>, DataDirectoryError> {
        FileLock::holder(&path.join(LOCK_FILE_NAME)).map_err(DataDirectoryError::Lock)
    }

    /// Checks that [`DataDirectory::open`] would not refuse `path`, without changing anything.
    pub fn check_usable(path: &Path) -> Result<(), DataDirectoryError> {
        if path.is_dir() { version(path).map(drop) } else { Ok(()) }
    }

    /// Checks that `path` is a data directory that this version reads, without changing it.
    pub fn check(path: &Path) -> Result<(), DataDirectoryError> {
        if !path.is_dir() {
            return Err(DataDirectoryError::Missing(path.to_owned()));
        }
        version(path)?.map(drop).ok_or_else(|| DataDirectoryError::NoFormat(path.to_owned()))
    }
}

/// The version of the directory, which this binary reads. None if it holds no files.
fn version(path: &Path) -> Result<Option<u32>, DataDirectoryError> {
    let file = path.join(FORMAT_FILE_NAME);
    let Some(bytes) = if_exists(read_small(&file)).map_err(io_at(&file))? else {
        let (is_unused, path) = (is_unused(path).map_err(io_at(path))?, path.to_owned());
        return if is_unused { Ok(None) } else { Err(DataDirectoryError::NoFormat(path)) };
    };
    let number = bytes.strip_suffix(b"\n").and_then(|number| str::from_utf8(number).ok());
    match number.and_then(|number| number.parse().ok()) {
        None => Err(DataDirectoryError::Damaged(file)),
        Some(found @ FORMAT_VERSION_OLDEST..=FORMAT_VERSION) => Ok(Some(found)),
        Some(found) => Err(DataDirectoryError::OtherVersion { path: path.to_owned(), found }),
    }
}

/// Whether there is no file below the directory. Empty directories are mount points: `registry` and `log` may lie on disks
/// of their own.
fn is_unused(path: &Path) -> io::Result<bool> {
    for name in names(path)? {
        let below = path.join(&name);
        let is_ignored = IGNORED_NAMES.iter().any(|ignored| name == *ignored);
        let is_empty =
            || Ok::<_, io::Error>(below.symlink_metadata()?.is_dir() && is_unused(&below)?);
        if !(is_ignored || is_empty()?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> DataDirectoryError + '_ {
    move |source| DataDirectoryError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn error(path: &Path) -> String {
        let (opened, checked) = (DataDirectory::open(path), DataDirectory::check(path));
        let error = opened.unwrap_err().to_string();
        assert_eq!(checked.unwrap_err().to_string(), error);
        assert!(DataDirectory::prepare(path).is_err());
        assert_eq!(DataDirectory::check_usable(path).unwrap_err().to_string(), error);
        error
    }

    #[test]
    fn a_new_directory_gets_the_version_and_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/data");
        assert!(matches!(DataDirectory::check(&path), Err(DataDirectoryError::Missing(_))));
        let said = DataDirectory::check(Path::new("no/such")).unwrap_err().to_string();
        assert!(said.starts_with('/') && said.contains("/no/such is no data directory"), "{said}");
        DataDirectory::check_usable(&path).unwrap();
        assert!(!path.exists());
        DataDirectory::prepare(&path).unwrap();
        assert_eq!(fs::read_to_string(path.join("format")).unwrap(), "5\n");
        let opened = DataDirectory::open(&path).unwrap();
        DataDirectory::check(&path).unwrap();
        DataDirectory::prepare(&path).unwrap();
        let second = DataDirectory::open(&path).unwrap_err();
        let pid = Some(std::process::id());
        assert!(matches!(&second, DataDirectoryError::InUse { pid: found, .. } if *found == pid));
        assert!(second.to_string().contains(&format!("pid {}", std::process::id())));
        drop(opened);
        DataDirectory::open(&path).unwrap();
    }

    #[test]
    fn a_directory_of_a_version_before_is_read_and_becomes_one_of_this_version_once_opened() {
        for before in ["3\n", "4\n"] {
            let folder = tempfile::tempdir().unwrap();
            let format = folder.path().join("format");
            fs::write(&format, before).unwrap();
            DataDirectory::check(folder.path()).unwrap();
            DataDirectory::prepare(folder.path()).unwrap();
            assert_eq!(fs::read_to_string(&format).unwrap(), before, "nothing is opened yet");
            DataDirectory::open(folder.path()).unwrap();
            assert_eq!(fs::read_to_string(&format).unwrap(), "5\n");
        }
    }

    #[test]
    fn what_a_crash_or_a_new_file_system_leaves_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["lock", "format.new"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("lost+found")).unwrap();
        fs::create_dir_all(folder.path().join("registry/lost+found")).unwrap();
        assert!(matches!(
            DataDirectory::check(folder.path()),
            Err(DataDirectoryError::NoFormat(_))
        ));
        DataDirectory::open(folder.path()).unwrap();
        DataDirectory::check(folder.path()).unwrap();
        assert!(!folder.path().join("format.new").exists());
    }

    #[test]
    fn other_versions_and_other_directories_are_refused_and_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("registry")).unwrap();
        fs::write(path.join("registry/registry.redb"), "").unwrap();
        for part in ["no file \"format\"", "registry export", "registry import"] {
            assert!(error(path).contains(part), "{part}");
        }
        fs::write(path.join("format"), "7\n").unwrap();
        for part in ["version 7", "reads version 5", "registry export", "registry import"] {
            assert!(error(path).contains(part), "{part}");
        }
        for garbage in [&b""[..], b"one\n", b"2", b"2\n\n", b"-1\n", b"\xff\n"] {
            fs::write(path.join("format"), garbage).unwrap();
            assert!(error(path).contains("format: damaged"), "{garbage:?}");
        }
        assert_eq!(fs::read_dir(path).unwrap().count(), 2, "something was written");
    }
}

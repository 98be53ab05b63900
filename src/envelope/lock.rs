//! One writer for each directory: a file `lock` in it, locked for as long as the value lives.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::owner;

/// How often a lock that is waited for is tried.
const TRY_EVERY: Duration = Duration::from_millis(2);

/// The name of the lock file.
pub const LOCK_FILE_NAME: &str = "lock";

/// The right to write in a directory. Released when dropped, and by the kernel when the process ends in any way.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, writes there.
    #[error("{}: in use by another process", .0.display())]
    Held(PathBuf),
    /// The lock file cannot be opened.
    #[error("{}: cannot be locked: {source}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DirectoryLock {
    /// Locks `dir`, which must exist. Does not wait.
    ///
    /// # Errors
    /// If somebody else holds it, or the lock file cannot be made.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(LOCK_FILE_NAME);
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened
            .and_then(|file| owner::give_to_owner_of(dir, &file).map(|()| file))
            .map_err(|source| LockError::Io { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(path)),
            Err(TryLockError::Error(source)) => Err(LockError::Io { path, source }),
        }
    }

    /// Locks `dir`, which must exist. Waits for up to `patience`, blocking the thread: for holders that are done in a
    /// moment. One that was stopped half-way must not hold up everybody else for ever, so it does not wait for longer.
    ///
    /// # Errors
    /// As [`DirectoryLock::acquire`].
    pub fn acquire_within(dir: &Path, patience: Duration) -> Result<Self, LockError> {
        let started = Instant::now();
        loop {
            match Self::acquire(dir) {
                Err(LockError::Held(_)) if started.elapsed() < patience => thread::sleep(TRY_EVERY),
                known => return known,
            }
        }
    }
}

//! Advisory locks: one writer for each directory or file.

use std::{
    fs::{File, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::open;

/// How often a lock that is waited for is tried.
const TRY_EVERY: Duration = Duration::from_millis(2);

/// The name of a lock file that stands for its directory.
pub const LOCK_FILE_NAME: &str = "lock";

/// A lock on a file. Released when dropped, and by the kernel when the process ends in any way.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process, or another part of this one, holds it.
    #[error("{}: in use by another process{}", .path.display(), holder(*.pid))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, if it noted its id.
        pid: Option<u32>,
    },
    /// The lock file cannot be opened.
    #[error("{}: cannot be locked: {source}", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

fn noted_pid(path: &Path) -> Option<u32> {
    open::read_text(path).ok()?.trim().parse().ok()
}

impl FileLock {
    /// Locks the file at `path`, which is created if it is missing. Does not wait.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        let file = open::open_or_create(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                Err(LockError::Held { path: path.to_owned(), pid: noted_pid(path) })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The process that holds the lock of the file at `path`, if there is one: its id, if it noted that. Changes nothing. A process
    /// that tries to take the lock in the same microsecond finds it held.
    pub(super) fn holder(path: &Path) -> Result<Option<Option<u32>>, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        let Some(file) = open::if_exists(open::open(path)).map_err(failed)? else {
            return Ok(None);
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(noted_pid(path))),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Locks the file that stands for `dir`, which must exist. Does not wait.
    pub fn of_directory(dir: &Path) -> Result<Self, LockError> {
        Self::acquire(&dir.join(LOCK_FILE_NAME))
    }

    /// Locks the file at `path` and blocks the thread for up to `patience`. For locks that are held for a moment; a
    /// holder that was stopped half-way must not block others for ever.
    pub fn acquire_within(path: &Path, patience: Duration) -> Result<Self, LockError> {
        let started = Instant::now();
        loop {
            match Self::acquire(path) {
                Err(LockError::Held { .. }) if started.elapsed() < patience => {
                    thread::sleep(TRY_EVERY);
                }
                known => return known,
            }
        }
    }

    /// Notes this process's id in the file, for the error that others get. Best effort: a full disk must not prevent a
    /// start.
    pub(super) fn note_pid(&mut self) {
        let text = format!("{}\n", std::process::id());
        let _ = self.file.set_len(0).and_then(|()| self.file.write_all(text.as_bytes()));
    }
}

//! Which import is under way, and what an earlier run left: parts of uploads, and perhaps an accepted file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    files,
    registry::{Imported, Registry},
    shutdown::Shutdown,
    tables::accounts::StagedReader,
};

/// The name of an accepted file.
const ACCEPTED: &str = "accepted.staged";

/// Accepts imports, one at a time.
pub struct ImportJobs {
    pub(super) directory: PathBuf,
    pub(super) registry: Arc<Registry>,
    pub(super) shutdown: Shutdown,
    /// Held from the first byte of an upload until its file is applied and removed.
    pub(super) one: Arc<Semaphore>,
    current: Mutex<Current>,
}

/// The accepted import, if there is one.
pub(super) enum Current {
    Nothing,
    /// Accepted by an earlier run: applied once the registry takes changes.
    Waiting(OwnedSemaphorePermit, u64),
    Applying(watch::Receiver<Applied>),
}

/// How far an accepted import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Accounts that were applied.
    pub accounts: u64,
    /// Accounts in the file.
    pub total: u64,
    /// How it ended; `None` while it is applied.
    pub ended: Option<Ended>,
}

/// How applying an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The whole file was applied.
    Imported(Imported),
    /// The service stops; its next start continues.
    Stopped,
    /// The accepted file can no longer be read.
    Unreadable,
}

impl ImportJobs {
    /// Opens the directory of imports and removes everything but an accepted file: parts of uploads were never
    /// accepted, and `registry import --data` stages its file again.
    pub fn open(
        directory: PathBuf,
        registry: Arc<Registry>,
        shutdown: Shutdown,
    ) -> io::Result<Arc<Self>> {
        clear(&directory)?;
        let one = Arc::new(Semaphore::new(1));
        let mut current = Current::Nothing;
        let path = directory.join(ACCEPTED);
        if path.exists() {
            match (StagedReader::open(&path), Arc::clone(&one).try_acquire_owned()) {
                (Ok(reader), Ok(permit)) => {
                    current = Current::Waiting(permit, reader.totals().accounts);
                }
                (Err(error), _) => tracing::error!(
                    %error,
                    path = %path.display(),
                    "an accepted import cannot be read; it stays until another replaces it"
                ),
                (Ok(_), Err(_)) => {}
            }
        }
        Ok(Arc::new(Self { directory, registry, shutdown, one, current: Mutex::new(current) }))
    }

    /// Continues with the file that an earlier run had accepted. To be called once the registry accepts changes.
    pub fn resume(self: &Arc<Self>) {
        let mut current = self.current();
        match std::mem::replace(&mut *current, Current::Nothing) {
            Current::Waiting(permit, total) => {
                drop(current);
                tracing::info!(accounts = total, "continuing an import");
                drop(self.apply(total, permit));
            }
            other => *current = other,
        }
    }

    /// The progress of the accepted import, if there is one.
    pub fn applied(&self) -> Option<Applied> {
        match &*self.current() {
            Current::Nothing => None,
            Current::Waiting(_, total) => Some(Applied { total: *total, ..Applied::default() }),
            Current::Applying(applied) => Some(*applied.borrow()),
        }
    }

    /// Whether an import is being applied, or waits for that.
    pub fn is_running(&self) -> bool {
        !matches!(&*self.current(), Current::Nothing)
    }

    /// The name of the accepted file.
    pub(super) fn accepted(&self) -> PathBuf {
        self.directory.join(ACCEPTED)
    }

    pub(super) fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clear(directory: &Path) -> io::Result<()> {
    for name in files::if_exists(files::names(directory))?.unwrap_or_default() {
        let path = directory.join(&name);
        if name != ACCEPTED && path.symlink_metadata()?.is_file() {
            files::remove_if_exists(&path)?;
        }
    }
    Ok(())
}

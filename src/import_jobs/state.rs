//! Which import is under way.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    registry::{Imported, Registry},
    shutdown::Shutdown,
};

/// The name of an accepted file.
pub(super) const ACCEPTED: &str = "accepted.staged";

/// Accepts imports, one at a time. Cheap to clone.
#[derive(Clone)]
pub struct ImportJobs {
    pub(super) shared: Arc<ImportState>,
}

pub(super) struct ImportState {
    pub(super) directory: PathBuf,
    pub(super) registry: Arc<Registry>,
    pub(super) shutdown: Shutdown,
    /// Held from the first byte of an upload until its file is applied and removed.
    pub(super) one: Arc<Semaphore>,
    pub(super) current: Mutex<Current>,
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
    /// The progress of the accepted import, if there is one.
    #[must_use]
    pub fn applied(&self) -> Option<Applied> {
        match &*self.shared.current() {
            Current::Nothing => None,
            Current::Waiting(_, total) => Some(Applied { total: *total, ..Applied::default() }),
            Current::Applying(applied) => Some(*applied.borrow()),
        }
    }
}

impl ImportState {
    /// The name of the accepted file.
    pub(super) fn accepted(&self) -> PathBuf {
        self.directory.join(ACCEPTED)
    }

    pub(super) fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

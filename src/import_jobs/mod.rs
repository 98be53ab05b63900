//! An import that a running server was given: taken in, then applied in the background while everything else goes on.
//!
//! # Path
//!
//! [`ImportJobs::begin`] → [`Upload`] (arriving, as `accepted.staged.new`) → [`Upload::finish`] (checked, synced, renamed to
//! `accepted.staged`: from here on it is *accepted*) → applied piece by piece through the registry's writer → removed.
//! One at a time. Once it has arrived it does not matter whether its sender is still there.
//!
//! # What a crash leaves behind
//!
//! Before the file is accepted, a part of an upload, which the next start removes; nothing of it was applied. After it,
//! the whole file, and the next start applies it once more from its beginning: each piece is in the registry as a whole
//! or not at all, and an account that is there stays as it is.

mod apply;
mod open;
mod upload;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::{
    registry::{Imported, Registry},
    shutdown::Shutdown,
};

pub use upload::{AcceptError, Upload, UploadError};

/// The name of an accepted file.
const ACCEPTED: &str = "accepted.staged";

/// Takes imports in, one at a time. Cheap to clone.
#[derive(Clone)]
pub struct ImportJobs {
    shared: Arc<ImportState>,
}

struct ImportState {
    directory: PathBuf,
    registry: Arc<Registry>,
    shutdown: Shutdown,
    /// Held from the first byte of an upload until its file is applied and removed.
    one: Arc<Semaphore>,
    current: Mutex<Current>,
}

/// What is accepted.
enum Current {
    Nothing,
    /// By an earlier run: applied once the registry takes changes.
    Waiting(OwnedSemaphorePermit, u64),
    Applying(watch::Receiver<Applied>),
}

/// How far an accepted import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Accounts that were applied.
    pub accounts: u64,
    /// Accounts that there are in the file.
    pub total: u64,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
}

/// How applying an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All of it is in.
    Imported(Imported),
    /// The service stops; its next start goes on.
    Stopped,
    /// The accepted file cannot be read any more.
    Unreadable,
}

impl ImportJobs {
    /// How far the accepted import has come, if there is one.
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
    fn accepted(&self) -> PathBuf {
        accepted(&self.directory)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accepted(directory: &Path) -> PathBuf {
    directory.join(ACCEPTED)
}

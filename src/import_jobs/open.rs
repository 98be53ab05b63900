//! What an earlier run left: parts of uploads, and perhaps an accepted file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::sync::Semaphore;

use super::state::{ACCEPTED, Current, ImportJobs, ImportState};
use crate::{files, registry::Registry, shutdown::Shutdown, tables::accounts::StagedReader};

impl ImportJobs {
    /// Opens the directory of imports and removes everything but an accepted file: parts of uploads were never
    /// accepted, and `registry import --data` stages its file again.
    ///
    /// # Errors
    /// If the directory is there and cannot be cleared.
    pub fn open(
        directory: PathBuf,
        registry: Arc<Registry>,
        shutdown: Shutdown,
    ) -> io::Result<Self> {
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
        let current = Mutex::new(current);
        Ok(Self { shared: Arc::new(ImportState { directory, registry, shutdown, one, current }) })
    }

    /// Continues with the file that an earlier run had accepted. To be called once the registry accepts changes.
    pub fn resume(&self) {
        let mut current = self.shared.current();
        let waiting = match std::mem::replace(&mut *current, Current::Nothing) {
            Current::Waiting(permit, total) => Some((permit, total)),
            other => {
                *current = other;
                None
            }
        };
        drop(current);
        if let Some((permit, total)) = waiting {
            tracing::info!(accounts = total, "continuing an import");
            drop(self.shared.apply(total, permit));
        }
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

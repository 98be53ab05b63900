//! Applies an accepted file piece by piece, through the same writer as every other change.

use std::{io, sync::Arc};

use futures_util::FutureExt as _;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::state::{Applied, Current, Ended, ImportJobs};
use crate::{
    files, limits,
    registry::{ChangeError, ImportRecords, Imported, TransferAccount},
    tables::accounts::{StagedError, StagedReader},
};

impl ImportJobs {
    /// Begins to apply the accepted file, whether or not the caller keeps the receiver.
    pub(super) fn apply(
        self: &Arc<Self>,
        total: u64,
        permit: OwnedSemaphorePermit,
    ) -> watch::Receiver<Applied> {
        let (tell, told) = watch::channel(Applied { total, ..Applied::default() });
        *self.current() = Current::Applying(told.clone());
        let jobs = Arc::clone(self);
        self.shutdown.spawn("import", async move {
            let ended = match jobs.apply_all(&tell).await {
                Ok(Some(imported)) => {
                    let Imported { accounts, devices, handles, accounts_kept, .. } = imported;
                    tracing::info!(accounts, devices, handles, accounts_kept, "an import is applied");
                    Ended::Imported(imported)
                }
                Ok(None) => {
                    tracing::info!("an import is interrupted; the next start goes on with it");
                    Ended::Stopped
                }
                Err(error) => {
                    tracing::error!(%error, "an accepted import cannot be read; the next start tries again");
                    Ended::Unreadable
                }
            };
            // Set before the end is reported, so that a caller which sees the end can begin another import.
            *jobs.current() = Current::Nothing;
            drop(permit);
            tell.send_modify(|applied| applied.ended = Some(ended));
        });
        told
    }

    /// Applies all pieces and removes the file. `None` if the service stops before the end.
    async fn apply_all(
        &self,
        tell: &watch::Sender<Applied>,
    ) -> Result<Option<Imported>, StagedError> {
        let path = self.accepted();
        let mut reader = blocking(move || StagedReader::open(&path)).await?;
        let (mut imported, mut records) = (Imported::default(), ImportRecords::default());
        loop {
            // Files are not read on a serving thread.
            let (rest, piece) = blocking(move || {
                let piece = reader.next_batch(limits::IMPORT_PIECE_ACCOUNTS);
                Ok((reader, piece?))
            })
            .await?;
            reader = rest;
            if piece.is_empty() {
                break;
            }
            let accounts = piece.len() as u64;
            let Some(part) = self.apply_piece(piece.into(), &mut records).await else {
                return Ok(None);
            };
            imported.add(part);
            tell.send_modify(|applied| applied.accounts += accounts);
        }
        let path = self.accepted();
        blocking(move || {
            // Durable, or else a power cut would have it applied again, for nothing.
            files::remove_if_exists(&path)
                .and_then(|()| files::sync_dir(files::parent(&path)))
                .map_err(StagedError::Read)
        })
        .await?;
        Ok(Some(imported))
    }

    /// Applies a piece, and retries while the registry refuses changes. `None` if the service stops.
    async fn apply_piece(
        &self,
        piece: Arc<[TransferAccount]>,
        records: &mut ImportRecords,
    ) -> Option<Imported> {
        let mut is_refused = false;
        loop {
            if self.shutdown.stopping().now_or_never().is_some() {
                return None;
            }
            let error = match self.registry.import(Arc::clone(&piece), records).await {
                Ok(part) => return Some(part),
                Err(ChangeError::Stopped) => return None,
                // Each of the others passes: the log, the disk or the load.
                Err(error) => error,
            };
            if !is_refused {
                tracing::warn!(%error, "an import waits until changes can be made");
                is_refused = true;
            }
            tokio::select! {
                () = tokio::time::sleep(limits::IMPORT_RETRY_PAUSE) => {}
                () = self.shutdown.stopping() => {}
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StagedError> + Send + 'static,
) -> Result<T, StagedError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StagedError::Read(io::Error::other(error)))?
}

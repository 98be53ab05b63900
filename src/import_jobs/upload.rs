//! The upload of a staged file.

use std::{io, sync::Arc};

use tokio::{
    io::AsyncWriteExt as _,
    sync::{OwnedSemaphorePermit, oneshot, watch},
};

use super::state::{Applied, ImportJobs};
use crate::{
    files::{AsyncFile, AtomicFile, create_dir},
    limits,
    tables::accounts::{StagedError, StagedTotals, verify},
};

/// A staged file that is being received. Dropped before [`Upload::finish`], it is removed.
pub struct Upload {
    jobs: Arc<ImportJobs>,
    fresh: AtomicFile,
    output: AsyncFile,
    bytes: u64,
    permit: OwnedSemaphorePermit,
}

/// Why a staged file cannot be received, or is not accepted. It is removed.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Another import is received or applied.
    #[error("another import is under way")]
    Busy,
    /// It is longer than [`limits::IMPORT_UPLOAD_BYTES_MAX`].
    #[error("the staged file is too long")]
    TooLarge,
    /// It is not a staged file, or is damaged.
    #[error(transparent)]
    Staged(#[from] StagedError),
    /// It cannot be written.
    #[error("the staged file cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The disk has less free space than its reserve.
    #[error("the disk has too little space for an import")]
    LowSpace,
    /// The service stops.
    #[error("the service is stopping")]
    Stopped,
}

impl ImportJobs {
    /// Begins an upload, unless another is under way or being applied.
    pub async fn begin(self: &Arc<Self>) -> Result<Upload, UploadError> {
        let permit = Arc::clone(&self.one).try_acquire_owned();
        let permit = permit.map_err(|_| UploadError::Busy)?;
        self.check_space()?;
        let jobs = Arc::clone(self);
        let fresh = tokio::task::spawn_blocking(move || {
            create_dir(&jobs.directory)?;
            AtomicFile::create(&jobs.accepted())
        });
        let fresh = fresh.await.map_err(io::Error::other)??;
        let output = AsyncFile::from_std(fresh.file.try_clone()?);
        Ok(Upload { jobs: Arc::clone(self), fresh, output, bytes: 0, permit })
    }

    fn check_space(&self) -> Result<(), UploadError> {
        if self.registry.is_low_on_space() { Err(UploadError::LowSpace) } else { Ok(()) }
    }
}

impl Upload {
    /// Appends to the file.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > limits::IMPORT_UPLOAD_BYTES_MAX {
            return Err(UploadError::TooLarge);
        }
        self.jobs.check_space()?;
        Ok(self.output.write_all(bytes).await?)
    }

    /// Checks the received file, accepts it and begins to apply it, whether or not the caller waits.
    pub async fn finish(self) -> Result<watch::Receiver<Applied>, UploadError> {
        let (tell, told) = oneshot::channel();
        let shutdown = self.jobs.shutdown.clone();
        shutdown.spawn("import-check", async move {
            // The caller may have disconnected.
            let _ = tell.send(self.accept().await);
        });
        told.await.map_err(|_| UploadError::Stopped)?
    }

    async fn accept(mut self) -> Result<watch::Receiver<Applied>, UploadError> {
        self.output.flush().await?;
        let Self { jobs, fresh, permit, .. } = self;
        let checking = tokio::task::spawn_blocking(move || -> Result<StagedTotals, UploadError> {
            let (_, totals) = verify(fresh.written()?)?;
            fresh.keep()?;
            Ok(totals)
        });
        let totals = checking.await.map_err(io::Error::other)??;
        tracing::info!(
            accounts = totals.accounts,
            devices = totals.devices,
            handles = totals.handles,
            "an import is accepted"
        );
        Ok(jobs.apply(totals.accounts, permit))
    }
}

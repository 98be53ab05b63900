//! Uploads files to a server and downloads them.

use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::stream;
use reqwest::{Body, Method, Response};
use tokio::{fs::File, io::AsyncReadExt as _, time::sleep};

use crate::{
    cli::{client::Client, progress::ProgressView},
    files::{AtomicFile, create_dir},
    tables::accounts::{Phase, Progress, Unit},
};

const CHUNK_BYTES: usize = 256 * 1024;
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Where a command keeps a file of everybody's handles while it works: beside the file that it was given, unless another
/// place is named. The owner of that file has space there and keeps it private. The place is the same at each run, so that
/// the next run finds what an interrupted one left.
pub(super) struct WorkDirectory {
    pub(super) path: PathBuf,
    is_named: bool,
}

impl WorkDirectory {
    /// The directory `named`, or the one beside `file`; made if it is not there, for its owner only.
    pub(super) fn make(named: Option<&Path>, file: &Path) -> anyhow::Result<Self> {
        let beside = || {
            let mut name = OsString::from(file);
            name.push(".work");
            name.into()
        };
        let (path, is_named) = (named.map_or_else(beside, Path::to_owned), named.is_some());
        create_dir(&path)
            .with_context(|| format!("{} (--work-dir names another place)", path.display()))?;
        Ok(Self { path, is_named })
    }
}

impl Drop for WorkDirectory {
    /// Removes it, unless somebody named it or it holds something.
    fn drop(&mut self) {
        if !self.is_named {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

pub(super) async fn upload(
    api: &Client,
    to: &str,
    file: &Path,
    view: &ProgressView,
) -> anyhow::Result<Response> {
    let reading = File::open(file).await.with_context(|| file.display().to_string())?;
    let total = reading.metadata().await?.len();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let pieces = stream::unfold((reading, counted), |(mut reading, counted)| async move {
        let mut piece = vec![0; CHUNK_BYTES];
        let read = reading.read(&mut piece).await;
        let is_over = matches!(read, Ok(0));
        let piece = read.map(|bytes| {
            counted.fetch_add(bytes as u64, Ordering::Relaxed);
            piece.truncate(bytes);
            piece
        });
        (!is_over).then_some((piece, (reading, counted)))
    });
    let request = api.request(Method::POST, to).body(Body::wrap_stream(pieces));
    let posting = api.send(request.header("content-type", "application/octet-stream"));
    tokio::pin!(posting);
    loop {
        tokio::select! {
            response = &mut posting => return response,
            () = sleep(SHOW_EVERY) => {
                let done = sent.load(Ordering::Relaxed);
                view.show(Progress { phase: Phase::Uploading, unit: Unit::Bytes, done, total });
            }
        }
    }
}

/// Downloads a running server's registry into a file that appears only once it is complete.
pub(super) async fn download(api: &Client, file: &Path, view: &ProgressView) -> anyhow::Result<()> {
    let mut response = api.send(api.request(Method::GET, "/v1/registry/snapshot")).await?;
    let total = response.content_length().context("the server does not say how long it is")?;
    let writing = || format!("writing {}", file.display());
    let mut fresh = AtomicFile::create(file).with_context(writing)?;
    let mut done = 0;
    loop {
        let piece = match response.chunk().await.map_err(reqwest::Error::without_url) {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => return Err(api.broken_off(error.into()).await),
        };
        fresh.file.write_all(&piece).with_context(writing)?;
        done += piece.len() as u64;
        view.show(Progress { phase: Phase::Downloading, unit: Unit::Bytes, done, total });
    }
    if done != total {
        bail!("the server sent {done} bytes of {total}");
    }
    fresh.keep().with_context(writing)
}

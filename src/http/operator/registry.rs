//! `GET /v1/registry`, the registry's figures; `GET /v1/registry/snapshot`, its store as it is at one moment.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use tokio::{
    io::AsyncReadExt as _,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    access::{Admin, authorize},
    reads::permit,
};
use crate::{
    clock::SharedClock,
    files::{self, AsyncFile, File, FileStamp},
    http::{
        problem::{Code, Problem},
        query::NoParameters,
    },
    ids, limits,
    operators::{Operators, Role},
    registry::{ChangeError, Counts, Registry, StoreError},
};

const NAME_BEGINS: &str = "snapshot-";
const NAME_ENDS: &str = ".tmp";
/// What an operator hears whose call would take space that is left to other programs.
pub(super) const LOW_SPACE: &str =
    "the data disk would have less free space than server.disk_reserve leaves to other programs";
const CHUNK_BYTES: usize = 256 * 1024;

/// Counts handles, devices and accounts. Reads the whole index, a shard at a time.
#[utoipa::path(
    get, path = "/v1/registry", operation_id = "getRegistryCounts", tag = "registry",
    responses(
        (status = 200, description = "The figures", body = Counts),
        (status = 503, description = "`registry-loading`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn counts(
    headers: HeaderMap,
    _: NoParameters,
    State(operators): State<Arc<Operators>>,
    State(registry): State<Arc<Registry>>,
    State(clock): State<SharedClock>,
) -> Result<Json<Counts>, Problem> {
    authorize(&headers, &operators, Role::Reader)?;
    let counted = tokio::task::spawn_blocking(move || registry.counts(clock.now()))
        .await
        .map_err(|_| Problem::new(Code::Internal, "counting failed"))?;
    Ok(Json(counted.map_err(|_| ChangeError::Loading)?))
}

/// Makes snapshots, few at a time. A snapshot has a name only while it is being written, so a crash leaves at most a part
/// of one, which the next start removes.
#[derive(Clone, Debug)]
pub struct Snapshots {
    directory: PathBuf,
    /// Bytes of free space that a snapshot leaves on the disk.
    disk_reserve: u64,
    permits: Arc<Semaphore>,
}

impl Snapshots {
    /// Removes from `directory` what a crash left there.
    pub fn open(directory: &Path, disk_reserve: u64) -> io::Result<Self> {
        for name in files::names(directory)? {
            let text = name.to_string_lossy();
            if text.starts_with(NAME_BEGINS) && text.ends_with(NAME_ENDS) {
                files::remove_if_exists(&directory.join(&name))?;
            }
        }
        let permits = Arc::new(Semaphore::new(limits::REGISTRY_SNAPSHOTS_MAX));
        Ok(Self { directory: directory.to_owned(), disk_reserve, permits })
    }

    /// Whether the disk has space for a copy of the store. True if that is not known.
    fn has_room(&self) -> bool {
        let store = FileStamp::of(&self.directory.join("registry.redb"));
        let store = store.map_or(0, |store| store.bytes);
        let space = files::space_of(&self.directory).ok();
        space.is_none_or(|space| {
            space.free >= store.saturating_add(space.reserve(self.disk_reserve))
        })
    }

    /// Makes a snapshot and returns it open, without a name, and its length. Blocks.
    fn make(&self, registry: &Registry) -> Result<(File, u64), StoreError> {
        let name = format!("{NAME_BEGINS}{:016x}{NAME_ENDS}", ids::random_u64());
        let path = self.directory.join(name);
        let made = registry.snapshot(&path).and_then(|()| Ok(files::open(&path)?));
        // Also if the snapshot failed half-way, perhaps for lack of space.
        let removed = files::remove_if_exists(&path);
        let file = made?;
        removed?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    }
}

/// Sends the registry's store as it is at one moment, while changes continue. To restore that moment, put the file in the
/// place of a stopped server's `registry.redb`.
#[utoipa::path(
    get, path = "/v1/registry/snapshot", operation_id = "snapshotRegistry", tag = "registry",
    responses(
        (status = 200, description = "The store", body = String, content_type = "application/octet-stream"),
        (status = 403, description = "`role-insufficient`"),
        (status = 503, description = "`overloaded`: another snapshot is under way; `registry-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn snapshot(
    _: Admin,
    _: NoParameters,
    State(registry): State<Arc<Registry>>,
    State(snapshots): State<Snapshots>,
) -> Result<Response, Problem> {
    let permit = permit(&snapshots.permits, "another snapshot is under way; try again soon")?;
    let make = move || (snapshots.has_room().then(|| snapshots.make(&registry)), permit);
    let (made, permit) = tokio::task::spawn_blocking(make)
        .await
        .map_err(|_| Problem::new(Code::Internal, "the snapshot failed"))?;
    let (file, bytes) = made
        .ok_or_else(|| Problem::new(Code::RegistryUnwritable, LOW_SPACE))?
        .map_err(|error| {
            tracing::error!(%error, "a snapshot could not be made");
            let detail = "the snapshot could not be written; is the disk full?";
            Problem::new(Code::RegistryUnwritable, detail)
        })?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(chunks(file, bytes, permit))).into_response())
}

/// The file's bytes. An error cuts the answer short of its length, so that no client takes a part for the whole.
fn chunks(
    file: File,
    bytes: u64,
    permit: OwnedSemaphorePermit,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    let file = AsyncFile::from_std(file);
    stream::unfold((file, bytes, permit), |(mut file, left, permit)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk =
            vec![0; usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES))];
        let read = file.read_exact(&mut chunk).await;
        let left = left - chunk.len() as u64;
        Some((read.map(|_| Bytes::from(chunk)), (file, left, permit)))
    })
}

//! `GET /v1/registry`, the registry's figures; `GET /v1/registry/snapshot`, its store as it is at one moment.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use tokio::{io::AsyncReadExt as _, task::spawn_blocking};

use super::{
    access::{Gate, authorize},
    authority::Authority,
    places::{Place, Places},
};
use crate::{
    audit::{Audited, Call, Filters},
    clock::SharedClock,
    files::{self, AsyncFile, File, FileStamp},
    http::{
        problem::{Code, Problem},
        query::NoParameters,
    },
    ids, limits,
    lock::lock,
    operators::{Operators, Role},
    registry::{ChangeError, CopyFor, Counts, Registry, StoreError},
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
    places: Places,
    /// Held while a snapshot is measured and made: two at once could together take the reserve.
    making: Arc<Mutex<()>>,
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
        let (all, each) =
            (limits::REGISTRY_SNAPSHOTS_MAX, limits::REGISTRY_SNAPSHOTS_PER_OPERATOR_MAX);
        let (places, making) = (Places::new("snapshots", all, each), Arc::default());
        Ok(Self { directory: directory.to_owned(), disk_reserve, places, making })
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

    /// Makes a snapshot if there is space for it. Blocks.
    fn make(&self, registry: &Registry, copy_for: CopyFor) -> Result<(File, u64), Problem> {
        let _making = lock(&self.making);
        if !self.has_room() {
            return Err(Problem::new(Code::RegistryUnwritable, LOW_SPACE));
        }
        self.write(registry, copy_for).map_err(|error| {
            tracing::error!(%error, "a snapshot could not be made");
            let detail = "the snapshot could not be written; is the disk full?";
            Problem::new(Code::RegistryUnwritable, detail)
        })
    }

    /// Writes a snapshot and returns it open, without a name, and its length.
    fn write(&self, registry: &Registry, copy_for: CopyFor) -> Result<(File, u64), StoreError> {
        let name = format!("{NAME_BEGINS}{:016x}{NAME_ENDS}", ids::random_u64());
        let path = self.directory.join(name);
        let made = registry.snapshot(&path, copy_for).and_then(|()| Ok(files::open(&path)?));
        // Also if the snapshot failed half-way, perhaps for lack of space.
        let removed = files::remove_if_exists(&path);
        let file = made?;
        removed?;
        let bytes = file.metadata()?.len();
        Ok((file, bytes))
    }
}

/// Sends the registry's store as it is at one moment, while changes continue. To restore that moment, put the file in the
/// place of a stopped server's `registry.redb`. The audit log notes the call and how many accounts the store has.
#[utoipa::path(
    get, path = "/v1/registry/snapshot", operation_id = "snapshotRegistry", tag = "registry",
    responses(
        (status = 200, description = "The store", body = String, content_type = "application/octet-stream"),
        (status = 503, description = "`overloaded`: as many snapshots are under way as the server bears, or as one operator may; \
                                      `registry-unwritable`; `audit-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn snapshot(
    State(gate): State<Gate>,
    headers: HeaderMap,
    _: NoParameters,
    State(registry): State<Arc<Registry>>,
    State(snapshots): State<Snapshots>,
) -> Result<Response, Problem> {
    let authority = gate.admit_admin(&headers, Call::Snapshot).await?;
    send_snapshot(gate, authority, (Call::Snapshot, CopyFor::Backup), registry, snapshots).await
}

/// Sends a copy of the store for this purpose, once the audit log has the call.
pub(super) async fn send_snapshot(
    gate: Gate,
    authority: Authority,
    (call, copy_for): (Call, CopyFor),
    registry: Arc<Registry>,
    snapshots: Snapshots,
) -> Result<Response, Problem> {
    let by = authority.name().to_owned();
    let place = snapshots.places.take(&by).await;
    let make = move || {
        let audited = gate.records.note(&by, call, &Filters::none())?;
        let made = place.and_then(|place| {
            let (file, bytes) = snapshots.make(&registry, copy_for)?;
            Ok((file, bytes, place))
        });
        match made {
            Ok((file, bytes, place)) => {
                let accounts = registry.totals().accounts;
                Ok(Sending { file: AsyncFile::from_std(file), bytes, accounts, audited, place })
            }
            Err(refused) => {
                audited.refuse(refused.code);
                Err(refused)
            }
        }
    };
    let made = async {
        spawn_blocking(make)
            .await
            .map_err(|_| Problem::new(Code::Internal, "the snapshot failed"))?
    };
    let sending = authority.while_held(made).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, sending.bytes.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let answer = (headers, Body::from_stream(chunks(sending))).into_response();
    Ok(authority.watched(answer))
}

/// A snapshot that is being sent.
struct Sending {
    file: AsyncFile,
    /// Bytes that are still to be sent.
    bytes: u64,
    accounts: u64,
    audited: Audited,
    place: Place,
}

/// The file's bytes. An error cuts the answer short of its length, so that no client takes a part for the whole.
///
/// The accounts are noted as given with the first bytes: a part of a store tells about people, too.
fn chunks(mut sending: Sending) -> impl stream::Stream<Item = io::Result<Bytes>> {
    sending.audited.add(sending.accounts);
    stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        let most = usize::try_from(sending.bytes).unwrap_or(CHUNK_BYTES);
        let mut chunk = vec![0; most.min(CHUNK_BYTES)];
        if let Err(error) = sending.file.read_exact(&mut chunk).await {
            return Some((Err(error), None));
        }
        sending.bytes -= chunk.len() as u64;
        if sending.bytes > 0 {
            return Some((Ok(Bytes::from(chunk)), Some(sending)));
        }
        // Written before the last bytes leave, because the connection asks for nothing behind them.
        let Sending { audited, place, .. } = sending;
        let _ = spawn_blocking(move || audited.finish()).await;
        drop(place);
        Some((Ok(Bytes::from(chunk)), None))
    })
}

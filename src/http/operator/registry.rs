//! `GET /v1/registry`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::Reader;
use crate::{
    clock::SharedClock,
    http::problem::{Code, Problem, ProblemBody},
    registry::{ChangeError, IndexBytes, Registry},
};

/// How much there is.
#[derive(Serialize, ToSchema)]
pub(super) struct Counts {
    /// Handles that an account holds.
    handles: u64,
    /// Of these, e-mail addresses.
    addresses: u64,
    /// Devices signed up.
    devices: u64,
    /// Accounts.
    accounts: u64,
    /// Of these, within their lease or backed by such a device.
    live: Live,
    /// Devices by platform.
    by_platform: BTreeMap<String, u64>,
    /// What the index takes in memory.
    memory: Memory,
}

/// Bytes of the index by what they hold.
#[derive(Serialize, ToSchema)]
pub(super) struct Memory {
    /// Accounts: devices with their tokens, handles.
    accounts: u64,
    /// Room for accounts that is not used.
    spare: u64,
    /// What finds an account by a handle.
    handle_table: u64,
    /// What finds an account by a device.
    device_table: u64,
    /// Handles that nobody holds any more and how they ended.
    tombstones: u64,
    /// All of it, for each handle; null if there is none.
    per_handle: Option<u64>,
}

impl Memory {
    fn of(bytes: IndexBytes, handles: u64) -> Self {
        let IndexBytes { accounts, spare, handle_table, device_table, tombstones } = bytes;
        let per_handle = bytes.total().checked_div(handles);
        Self { accounts, spare, handle_table, device_table, tombstones, per_handle }
    }
}

/// How much of it counts.
#[derive(Serialize, ToSchema)]
pub(super) struct Live {
    /// Handles with a live device.
    handles: u64,
    /// Devices within their lease.
    devices: u64,
}

/// Counts handles, devices and accounts. Reads the whole index, a shard at a time.
#[utoipa::path(
    get, path = "/v1/registry", tag = "registry",
    responses((status = 200, body = Counts), (status = 401, body = ProblemBody), (status = 503, body = ProblemBody)),
    security(("operator" = [])),
)]
pub(super) async fn counts(
    _: Reader,
    State(registry): State<Arc<Registry>>,
    State(clock): State<SharedClock>,
) -> Result<Json<Counts>, Problem> {
    let counted = tokio::task::spawn_blocking(move || registry.counts(clock.now()))
        .await
        .map_err(|_| Problem::new(Code::Internal, "counting failed"))?;
    let counts = counted.map_err(|_| ChangeError::Loading)?;
    let by_platform = counts.devices_by_platform.iter();
    Ok(Json(Counts {
        handles: counts.handles,
        addresses: counts.addresses,
        devices: counts.devices,
        accounts: counts.accounts,
        live: Live { handles: counts.handles_live, devices: counts.devices_live },
        by_platform: by_platform.map(|(platform, n)| (platform.to_string(), *n)).collect(),
        memory: Memory::of(counts.bytes, counts.handles),
    }))
}

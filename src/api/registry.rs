//! Answers about the registry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::registry::Counts;

/// How much there is in the registry.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct RegistryFigures {
    /// Handles that an account holds.
    pub handles: u64,
    /// Of these, e-mail addresses.
    pub addresses: u64,
    /// Devices signed up.
    pub devices: u64,
    /// Accounts.
    pub accounts: u64,
    /// Of these, within their lease or backed by such a device.
    pub live: LiveFigures,
    /// Devices by platform.
    pub by_platform: BTreeMap<String, u64>,
    /// Bytes of the index in memory.
    pub memory: MemoryFigures,
}

/// How much of it counts.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct LiveFigures {
    /// Handles with a live device.
    pub handles: u64,
    /// Devices within their lease.
    pub devices: u64,
}

/// Bytes of the index by what they hold.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct MemoryFigures {
    /// Accounts: devices with their tokens, handles.
    pub accounts: u64,
    /// Space for accounts that is not used.
    pub spare: u64,
    /// The table that finds an account by a handle.
    pub handle_table: u64,
    /// The table that finds an account by a device.
    pub device_table: u64,
    /// Handles that nobody holds any more and how they ended.
    pub tombstones: u64,
    /// All of it, for each handle; null if there is none.
    pub per_handle: Option<u64>,
}

impl From<Counts> for RegistryFigures {
    fn from(counts: Counts) -> Self {
        let (handles, bytes) = (counts.handles, counts.bytes);
        let by_platform = counts.devices_by_platform.into_iter();
        Self {
            handles,
            addresses: counts.addresses,
            devices: counts.devices,
            accounts: counts.accounts,
            live: LiveFigures { handles: counts.handles_live, devices: counts.devices_live },
            by_platform: by_platform.map(|(platform, n)| (platform.to_string(), n)).collect(),
            memory: MemoryFigures {
                accounts: bytes.accounts,
                spare: bytes.spare,
                handle_table: bytes.handle_table,
                device_table: bytes.device_table,
                tombstones: bytes.tombstones,
                per_handle: bytes.total().checked_div(handles),
            },
        }
    }
}

/// How far the import is that a server accepted last.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ImportState {
    /// Whether it is being applied.
    pub state: ImportPhase,
    /// Accounts that were applied.
    pub accounts: u64,
    /// Accounts that are to be applied.
    pub total: u64,
}

/// Whether an import is being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportPhase {
    /// It is.
    Applying,
    /// Everything that was accepted is applied.
    None,
}

//! How much there is: figures for operators.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    directory::Registry,
    error::Loading,
    index::IndexBytes,
    packed::{Name, Packed},
    state::RegistryState,
};
use crate::{clock::Timestamp, vocabulary::Platform};

/// Figures of the whole registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RegistryCounts)]
pub struct Counts {
    /// Handles that an account holds.
    pub handles: u64,
    /// Of these, e-mail addresses.
    pub addresses: u64,
    /// Devices signed up.
    pub devices: u64,
    /// Accounts.
    pub accounts: u64,
    /// How much of it counts.
    pub live: LiveCounts,
    /// Devices by platform; every platform is there.
    #[serde(rename = "by_platform")]
    pub devices_by_platform: BTreeMap<Platform, u64>,
    /// Memory of the index.
    #[serde(rename = "memory")]
    pub bytes: IndexBytes,
}

/// What counts for lookups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiveCounts {
    /// Handles with a live device.
    pub handles: u64,
    /// Devices that checked in within their lease.
    pub devices: u64,
}

impl Registry {
    /// Figures at `now`. Scans the index: for operators, and not on a serving thread.
    pub fn counts(&self, now: Timestamp) -> Result<Counts, Loading> {
        self.shared.loaded().map(drop)?;
        Ok(counts(&self.shared, now))
    }
}

/// Counts page by page: while changes go on, the figures are of no one instant.
pub(super) fn counts(shared: &RegistryState, now: Timestamp) -> Counts {
    let mut counts = Counts {
        devices_by_platform: Platform::ALL.iter().map(|platform| (*platform, 0)).collect(),
        ..Counts::default()
    };
    let pages = shared.read().pages();
    for page in 0..pages {
        let index = shared.read();
        for packed in index.page(page) {
            count(&mut counts, &packed, shared, now);
        }
    }
    counts.bytes = shared.read().bytes();
    counts.bytes.per_handle = counts.bytes.total().checked_div(counts.handles);
    counts
}

fn count(counts: &mut Counts, packed: &Packed<'_>, shared: &RegistryState, now: Timestamp) {
    counts.accounts += 1;
    for device in packed.devices() {
        counts.devices += 1;
        counts.live.devices += u64::from(now < shared.live_until(device.last_check_in_at(), now));
        *counts.devices_by_platform.entry(device.platform()).or_default() += 1;
    }
    for handle in packed.handles() {
        counts.handles += 1;
        counts.addresses += u64::from(matches!(handle.name(), Name::Email(_)));
        let probe = packed.probe(handle, |last| shared.live_until(last, now));
        counts.live.handles += u64::from(probe.is_some_and(|probe| probe.is_live(now)));
    }
}

//! How much there is: figures for operators.

use crate::vocabulary::Platform;
use std::collections::BTreeMap;

use super::index::IndexBytes;

/// Figures of the whole registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handles that an account holds.
    pub handles: u64,
    /// Of these, e-mail addresses.
    pub addresses: u64,
    /// Of these, with a live device.
    pub handles_live: u64,
    /// Devices signed up.
    pub devices: u64,
    /// Of these, checked in within their lease.
    pub devices_live: u64,
    /// Accounts.
    pub accounts: u64,
    /// Devices by platform; every platform is there.
    pub devices_by_platform: BTreeMap<Platform, u64>,
    /// Memory of the index.
    pub bytes: IndexBytes,
}

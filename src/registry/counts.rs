//! How much there is: figures for operators.

use std::collections::BTreeMap;

use crate::clock::Timestamp;

use super::{
    device::Platform,
    entry::{Entry, Probe},
    index::Index,
};

/// Figures of the whole registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handles that an account holds.
    pub handles: u64,
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
}

impl Index {
    /// Counts by a scan that holds one shard at a time: while changes go on, the figures are of no one instant.
    pub(super) fn counts(&self, now: Timestamp) -> Counts {
        let mut counts = Counts {
            accounts: self.accounts.len() as u64,
            devices_by_platform: Platform::ALL.into_iter().map(|platform| (platform, 0)).collect(),
            ..Counts::default()
        };
        for device in &self.devices {
            counts.devices += 1;
            counts.devices_live += u64::from(now < device.lease_until);
            *counts.devices_by_platform.entry(device.platform).or_default() += 1;
        }
        self.for_each_handle(|_, entry: &Entry| {
            let probe = entry.probe(now);
            counts.handles += u64::from(matches!(probe, Probe::Claimed { .. }));
            counts.handles_live += u64::from(probe.is_live(now));
        });
        counts
    }
}

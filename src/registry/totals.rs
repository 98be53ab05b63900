//! How much the index holds, kept up to date with each change: metrics are read often, and a scan takes seconds.

use super::packed::Packed;
use crate::vocabulary::Platform;

/// Totals of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Accounts.
    pub accounts: u64,
    /// Handles that an account holds.
    pub handles: u64,
    /// Devices whose lapse is not recorded. The upkeep records a lapse within a minute, or later while the log takes no
    /// records.
    pub live_devices: u64,
    /// Devices by platform, in the order of [`Platform::ALL`].
    devices: [u64; Platform::ALL.len()],
}

impl Totals {
    /// Devices of this platform.
    pub fn devices(&self, platform: Platform) -> u64 {
        self.devices[platform as usize]
    }

    pub(super) fn add(&mut self, account: Packed<'_>) {
        self.accounts += 1;
        self.handles += account.handles_len() as u64;
        for device in account.devices() {
            self.devices[device.platform() as usize] += 1;
            self.live_devices += u64::from(!device.lapse_recorded());
        }
    }

    pub(super) fn remove(&mut self, account: Packed<'_>) {
        self.accounts -= 1;
        self.handles -= account.handles_len() as u64;
        for device in account.devices() {
            self.devices[device.platform() as usize] -= 1;
            self.live_devices -= u64::from(!device.lapse_recorded());
        }
    }
}

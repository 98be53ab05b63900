//! [`StagedTotals`]: what a staged file contains.

use std::ops::AddAssign;

use crate::registry::TransferAccount;

/// What a staged file contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StagedTotals {
    /// Accounts.
    pub accounts: u64,
    /// Devices of all accounts.
    pub devices: u64,
    /// Handles of all accounts.
    pub handles: u64,
}

impl From<&TransferAccount> for StagedTotals {
    fn from(account: &TransferAccount) -> Self {
        let (devices, handles) = (account.devices.len() as u64, account.claims.len() as u64);
        Self { accounts: 1, devices, handles }
    }
}

impl AddAssign for StagedTotals {
    fn add_assign(&mut self, other: Self) {
        self.accounts += other.accounts;
        self.devices += other.devices;
        self.handles += other.handles;
    }
}

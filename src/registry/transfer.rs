//! Accounts on their way in from a file or out to one.
//!
//! The registry knows no file format, and the readers and writers of files know no store. Both use these types.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    vocabulary::Platform,
};

use super::{account::Account, token::TokenHash};

/// One account, as it is imported and exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferAccount {
    /// The account.
    pub account: AccountId,
    /// Its devices, each once; at least one.
    pub devices: Vec<TransferDevice>,
    /// The handles it holds, each once.
    pub claims: Vec<TransferClaim>,
}

/// One device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferDevice {
    /// The device.
    pub device: DeviceId,
    /// What kind it is.
    pub platform: Platform,
    /// When it last checked in.
    pub last_check_in_at: Timestamp,
    /// When it signed up, if that is known.
    pub registered_at: Option<Timestamp>,
    /// What its owner calls it.
    pub name: Option<String>,
    /// What is kept of its token: the first 128 bits of the SHA-256 of the token's secret part. Without it the device
    /// cannot show who it is, and signs up again.
    pub token_hash: Option<[u8; 16]>,
}

/// One handle that an account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferClaim {
    /// The handle.
    pub handle: Handle,
    /// When its ownership was last proved, if that is known.
    pub proved_at: Option<Timestamp>,
    /// Whether strangers may find it.
    pub discoverable: bool,
    /// The devices that back it: devices of the account, each once; at least one.
    pub devices: Vec<DeviceId>,
}

impl From<Account> for TransferAccount {
    fn from(account: Account) -> Self {
        let devices = account.devices.into_iter().map(|device| TransferDevice {
            device: device.id,
            platform: device.platform,
            last_check_in_at: device.last_check_in_at,
            registered_at: Some(device.registered_at),
            name: device.name.map(Into::into),
            token_hash: (device.token_hash != TokenHash::NONE).then_some(device.token_hash.0),
        });
        let claims = account.claims.into_iter().map(|claim| TransferClaim {
            handle: claim.handle,
            proved_at: Some(claim.proved_at),
            discoverable: claim.discoverable,
            devices: claim.devices,
        });
        Self { account: account.id, devices: devices.collect(), claims: claims.collect() }
    }
}

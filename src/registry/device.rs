//! What an owner may read of a device.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    vocabulary::{HandleLoss, Platform},
};

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceDetails {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// What kind it is.
    pub platform: Platform,
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it signed up.
    pub registered_at: Timestamp,
    /// When it last checked in.
    pub last_check_in_at: Timestamp,
    /// Until when it counts as live.
    pub lease_expires_at: Timestamp,
    /// The handles that it backs, sorted by canonical form.
    pub handles: Vec<HandleDetails>,
    /// The handles that its account held within the last 30 days and holds no more, in the order of their loss,
    /// then by canonical form.
    pub lost: Vec<LostDetails>,
}

/// A handle that is its owner's no more, as the former owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDetails {
    /// The handle.
    pub handle: Handle,
    /// Why.
    pub how: HandleLoss,
    /// When.
    pub at: Timestamp,
}

/// A handle as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleDetails {
    /// The handle.
    pub handle: Handle,
    /// When its ownership was last proved.
    pub proved_at: Timestamp,
    /// Whether strangers may find it.
    pub discoverable: bool,
}

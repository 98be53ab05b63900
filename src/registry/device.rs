//! What an owner may read of a device.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{AccountId, DeviceId},
    vocabulary::{HandleLoss, Platform},
};

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: Timestamp,
    /// When it last checked in.
    #[schema(value_type = String, format = DateTime)]
    pub last_check_in_at: Timestamp,
    /// Until then the device counts as live; a check-in moves it on.
    #[schema(value_type = String, format = DateTime)]
    pub lease_expires_at: Timestamp,
    /// The handles that it backs, sorted by canonical form.
    pub handles: Vec<HandleDetails>,
    /// The handles that its account held within the last 30 days and holds no more, in the order of their loss,
    /// then by canonical form.
    #[serde(rename = "lost_handles")]
    pub lost: Vec<LostDetails>,
}

/// A handle that is its owner's no more, as the former owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LostDetails {
    /// The handle.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// `moved`: another account proved it later. `deregistered`: it was taken back with a code. `unbound`,
    /// `device-removed`: the last device that backed it gave it up, or signed out.
    #[serde(rename = "reason")]
    pub how: HandleLoss,
    /// When.
    #[serde(rename = "lost_at")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// A handle as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HandleDetails {
    /// The handle.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// When its ownership was last proved.
    #[schema(value_type = String, format = DateTime)]
    pub proved_at: Timestamp,
    /// Whether strangers may find it.
    pub discoverable: bool,
}

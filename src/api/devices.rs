//! Devices: `POST /v1/devices`, `/v1/devices/me` and below it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    registry::DeviceDetails,
    vocabulary::Platform,
};

/// A new device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUpRequest {
    /// The kind of device.
    #[schema(example = "ios")]
    pub platform: Platform,
    /// What its owner calls it, at most 128 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Ann's iPhone")]
    pub name: Option<String>,
    /// A code that another device of the same person made. The new device joins its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "7Q3NV0XKCM")]
    pub link_code: Option<String>,
}

/// The device signed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignUpAnswer {
    /// The new device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// The device's token for `Authorization: Bearer`. The service shows it once and stores a hash.
    #[schema(example = "dd_0123456789abcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    pub token: String,
    /// The device counts as live before this instant. A check-in moves it on.
    #[schema(value_type = String, format = DateTime, example = "2026-12-07T08:41:07.123456Z")]
    pub lease_expires_at: Timestamp,
}

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnDevice {
    /// The device.
    #[serde(flatten)]
    pub device: DeviceDetails,
    /// Seconds until the lease ends, rounded down. A device checks in before that.
    #[schema(example = 1_209_600)]
    pub expires_in: u64,
}

/// The device checked in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckInAnswer {
    /// The device counts as live before this instant.
    #[schema(value_type = String, format = DateTime, example = "2026-12-07T08:41:07.123456Z")]
    pub lease_expires_at: Timestamp,
    /// Seconds until then, rounded down.
    #[schema(example = 1_209_600)]
    pub expires_in: u64,
}

/// A code with which another device of the same person signs up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkCodeAnswer {
    /// The code. It is valid for one sign-up.
    #[schema(example = "7Q3NV0XKCM")]
    pub link_code: String,
    /// The code is valid before this instant.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:51:07.123456Z")]
    pub expires_at: Timestamp,
}

//! Handles of a device: `/v1/devices/me/handles` and below it; also what `POST /v1/deregistrations` takes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// A handle that somebody claims or takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandleRequest {
    /// Phone number or e-mail address.
    #[schema(example = "+1 415 555 0123")]
    pub handle: String,
    /// The country of a phone number without a calling code (ISO 3166-1 alpha-2). It has no effect on other handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "US")]
    pub region: Option<String>,
}

/// A handle whose ownership is proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvedHandle {
    /// The handle in canonical form.
    #[schema(example = "+14155550123")]
    pub handle: String,
    /// When its ownership was last proved.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:42:11.000000Z")]
    pub proved_at: Timestamp,
}

/// What an owner changes about a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandleChange {
    /// Whether strangers may find it. If not, they get the answer of an unregistered handle.
    #[schema(example = false)]
    pub discoverable: bool,
}

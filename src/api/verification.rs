//! Codes: `POST /v1/verifications/{verification}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::handles::ProvedHandle;

/// A code as its recipient got it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeRequest {
    /// The code of the message.
    #[schema(example = "123456")]
    pub code: String,
}

/// What a right code did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Confirmation {
    /// It bound the handle to the device that claimed it.
    Bound(ProvedHandle),
    /// It took the handle from every device.
    Deregistered(DeregisteredHandle),
}

/// A handle that no device backs any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeregisteredHandle {
    /// The handle in canonical form.
    #[schema(example = "+14155550123")]
    pub handle: String,
    /// Always true.
    #[schema(example = true)]
    pub deregistered: bool,
}

//! What changes in the registry, why, and the kinds of devices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{codes::codes, flag::FlagReason};
use crate::{
    handle::{self, Handle},
    ids::{AccountId, ChangeId, DeviceId},
};

codes! {
    /// What changed in the registry.
    ChangeKind {
        /// A device signed up.
        DeviceRegistered = 1 "device-registered",
        /// A device is gone, with its bindings.
        DeviceRemoved = 2 "device-removed",
        /// A device backs a handle.
        HandleBound = 3 "handle-bound",
        /// A device no longer backs a handle.
        HandleUnbound = 4 "handle-unbound",
        /// A handle went to the account that proved it last; this device backs it.
        HandleMoved = 5 "handle-moved",
        /// A handle's owner took it back from every device.
        HandleDeregistered = 6 "handle-deregistered",
        /// A device has not checked in within the lease. There is one change for each handle that it backs, so that each
        /// handle's timeline shows it. If it backs none, there is one without a handle.
        LeaseExpired = 7 "lease-expired",
        /// A device checked in after its lease had lapsed: one change for each handle, as for the lapse.
        DeviceRevived = 8 "device-revived",
        /// Strangers no longer find a handle.
        HandleHidden = 9 "handle-hidden",
        /// Strangers find a handle again.
        HandleShown = 10 "handle-shown",
        /// An import brought in a handle that nobody held; this device backs it. Without a handle: a large import began to
        /// bring in handles that are not recorded one by one.
        HandleImported = 11 "handle-imported",
        /// An account gets no new handles any more: it asks as a sweep or with a list, not as a person does.
        AccountFlagged = 12 "account-flagged",
        /// An account that was flagged gets new handles again.
        AccountCleared = 13 "account-cleared",
    }
}

codes! {
    /// Why the registry changed.
    Cause {
        /// A new device signed up by itself.
        SignUp = 1 "sign-up",
        /// A new device joined an account with a link code.
        Linked = 2 "linked",
        /// The device signed out.
        SignOut = 3 "sign-out",
        /// The code sent to the handle was answered.
        Proof = 4 "proof",
        /// The account held the proof already.
        ProofHeld = 5 "proof-held",
        /// The device's owner asked for it.
        OwnerRequest = 6 "owner-request",
        /// The code of a deregistration was answered.
        Deregistration = 7 "deregistration",
        /// Another account proved the handle.
        NewerProof = 8 "newer-proof",
        /// Time passed without a check-in.
        Silence = 9 "silence",
        /// An imported file says so.
        Import = 10 "import",
        /// The device checked in.
        CheckIn = 11 "check-in",
        /// An operator asked for it.
        Operator = 12 "operator",
    } with {
        /// Why an account is flagged.
        Flag(FlagReason) = 16,
    }
}

/// One change of the registry, as its outbox and the log hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({
    "at": "2026-11-23T08:41:08.123456Z", "kind": "change", "change": "handle-bound", "handle": "ann@example.com",
    "device": "d_9h6s0b4n2f8ja", "account": "a_1p3k8t5w7y2d4", "cause": "proof",
})))]
pub struct Change {
    /// The change's own id, by which a record that was perhaps already written is recognised after a crash, and the same change in the logs
    /// of several nodes. JSON lacks it, so it is zero after reading.
    #[serde(skip, default = "Change::no_id")]
    pub id: ChangeId,
    /// What changed: one of the codes of changes.
    #[serde(rename = "change")]
    pub kind: ChangeKind,
    /// The handle concerned, canonical; absent if none is.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "handle::canonical::optional"
    )]
    #[schema(nullable = false, value_type = Option<String>)]
    pub handle: Option<Handle>,
    /// The device concerned; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub device: Option<DeviceId>,
    /// The account concerned; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub account: Option<AccountId>,
    /// Why it changed.
    pub cause: Cause,
}

impl Change {
    const fn no_id() -> ChangeId {
        ChangeId::from_bits(0)
    }
}

codes! {
    /// What kind of device it is.
    Platform {
        /// A phone.
        Ios = 1 "ios",
        /// A tablet.
        Ipados = 2 "ipados",
        /// A computer.
        Macos = 3 "macos",
        /// A watch.
        Watchos = 4 "watchos",
        /// A headset.
        Visionos = 5 "visionos",
        /// Anything else.
        Other = 6 "other",
    }
}

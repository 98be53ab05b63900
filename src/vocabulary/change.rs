//! What changes in the registry, why, and the kinds of devices.

use super::codes::codes;
use crate::{
    handle::Handle,
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
        /// A device has not checked in within the lease: one change for each handle it backs, so that each handle's
        /// timeline shows it, or one without a handle if it backs none.
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
    }
}

/// One change of the registry, as its outbox and the log hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The change's own id, by which a record that was perhaps already written is recognised after a crash.
    pub id: ChangeId,
    /// What changed.
    pub kind: ChangeKind,
    /// The handle concerned, if one is.
    pub handle: Option<Handle>,
    /// The device concerned, if one is.
    pub device: Option<DeviceId>,
    /// The account concerned, if one is.
    pub account: Option<AccountId>,
    /// Why.
    pub cause: Cause,
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

//! What one row of the log says.

use std::net::IpAddr;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
};

/// Declares an enum whose cases have a stable number on disk and a stable code in JSON.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $number:literal $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$case_doc])* $case = $number,)* }

        impl $name {
            /// Every case.
            pub const ALL: &[Self] = &[$(Self::$case,)*];

            /// The code in JSON, on the command line and in the API. Stable.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$case => $code,)* }
            }

            /// The number on disk. Stable, never reused.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// From the number on disk.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$case),)* _ => None }
            }

            /// From the code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$case),)* _ => None }
            }
        }
    };
}

codes! {
    /// Which way a message goes.
    Route {
        /// Over the messaging service: the blue bubble.
        Imessage = 1 "imessage",
        /// By text message: the green bubble.
        Sms = 2 "sms",
        /// No way: an e-mail address that no live device backs.
        None = 3 "none",
    }
}

codes! {
    /// Why a lookup got its route, or why it was refused. For operators, never for the asker.
    Reason {
        /// A live device backs the handle.
        LiveDevice = 1 "live-device",
        /// Nobody ever proved the handle, or so long ago that it is forgotten.
        NeverRegistered = 2 "never-registered",
        /// Its last device gave the handle up.
        Unbound = 3 "unbound",
        /// Its owner took it back without a device.
        Deregistered = 4 "deregistered",
        /// Another account proved it.
        Moved = 5 "moved",
        /// Its devices have not checked in within the lease.
        LeaseExpired = 6 "lease-expired",
        /// Its last device signed out.
        DeviceRemoved = 7 "device-removed",
        /// Its owner hides it from strangers.
        Undiscoverable = 8 "undiscoverable",
        /// Refused: the text is no handle.
        HandleInvalid = 64 "handle-invalid",
        /// Refused: no such device token.
        TokenInvalid = 65 "token-invalid",
        /// Refused: too many new handles.
        LookupQuota = 66 "lookup-quota",
        /// Refused: too many requests.
        RateLimited = 67 "rate-limited",
        /// Refused: the registry was not loaded yet.
        RegistryLoading = 68 "registry-loading",
        /// Refused: the request itself was malformed.
        RequestInvalid = 69 "request-invalid",
        /// Refused: the batch was too long.
        TooManyHandles = 70 "too-many-handles",
        /// Refused: the body was too large.
        BodyTooLarge = 71 "body-too-large",
        /// Refused: more was asked at once than the service takes on.
        Overloaded = 72 "overloaded",
    }
}

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
        /// A handle went to the account that proved it last.
        HandleMoved = 5 "handle-moved",
        /// A handle's owner took it back from every device.
        HandleDeregistered = 6 "handle-deregistered",
        /// A device has not checked in within the lease.
        LeaseExpired = 7 "lease-expired",
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
        /// The device gave the handle up.
        OwnerRequest = 6 "owner-request",
        /// The code of a deregistration was answered.
        Deregistration = 7 "deregistration",
        /// Another account proved the handle.
        NewerProof = 8 "newer-proof",
        /// Time passed without a check-in.
        Silence = 9 "silence",
        /// An imported file held a newer proof.
        Import = 10 "import",
    }
}

/// One lookup of one handle. A batch makes one for each handle, all with the same `request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRecord {
    /// The request.
    pub request: RequestId,
    /// The asker's account; none if the token was refused.
    pub account: Option<AccountId>,
    /// The asking device; none if the token was refused.
    pub device: Option<DeviceId>,
    /// Where the request came from.
    pub ip: Option<IpAddr>,
    /// The handle asked for; none if the text was none. What was typed instead is not kept.
    pub handle: Option<Handle>,
    /// The route answered; none if refused.
    pub route: Option<Route>,
    /// Why.
    pub reason: Reason,
    /// HTTP status of the answer (of the item, in a batch).
    pub status: u16,
    /// Microseconds from the request's arrival to its decision.
    pub took_us: u32,
}

/// One change of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// The change's own id.
    pub id: ChangeId,
    /// What changed.
    pub change: ChangeKind,
    /// The handle concerned, if one is.
    pub handle: Option<Handle>,
    /// The device concerned, if one is.
    pub device: Option<DeviceId>,
    /// The account concerned, if one is.
    pub account: Option<AccountId>,
    /// Why.
    pub cause: Cause,
}

/// What is written into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A lookup.
    Lookup(LookupRecord),
    /// A registry change.
    Change(ChangeRecord),
}

/// A record with its place in time, as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// When the log took it; never earlier than the row before it in the same file.
    pub at: Timestamp,
    /// What happened.
    pub record: Record,
}

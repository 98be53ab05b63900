//! Devices, their handles, and codes. Instants are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

use crate::{
    secret::{LinkCode, Token},
    vocabulary::{HandleLoss, Platform, SentBy},
};

/// A device that signs up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignUp {
    /// The kind of device.
    pub platform: Platform,
    /// What its owner calls it, at most 128 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A code of another device of the same person: the new one joins its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_code: Option<LinkCode>,
}

impl SignUp {
    /// A device without a name, with an account of its own.
    pub const fn new(platform: Platform) -> Self {
        Self { platform, name: None, link_code: None }
    }
}

/// The device signed up.
#[must_use = "the server shows the token once"]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SignedUp {
    /// The new device.
    pub device: String,
    /// Its account.
    pub account: String,
    /// Its token. Store it before anything else.
    pub token: Token,
    /// The device counts as live before this instant.
    pub lease_expires_at: String,
}

/// The phone's own device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnDevice {
    /// The device.
    pub device: String,
    /// Its account.
    pub account: String,
    /// What kind it is.
    pub platform: Platform,
    /// What its owner calls it.
    pub name: Option<String>,
    /// When it signed up.
    pub registered_at: String,
    /// When it last checked in.
    pub last_check_in_at: String,
    /// The device counts as live before this instant.
    pub lease_expires_at: String,
    /// The handles that it backs.
    pub handles: Vec<OwnHandle>,
    /// The handles that its account lost within 30 days.
    pub lost_handles: Vec<LostHandle>,
    /// Seconds until the lease ends.
    pub expires_in: u64,
}

/// A handle as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnHandle {
    /// The handle in canonical form.
    pub handle: String,
    /// When its ownership was last proved.
    pub proved_at: String,
    /// Whether strangers may find it.
    pub discoverable: bool,
}

/// A handle that the account does not hold any more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LostHandle {
    /// The handle in canonical form.
    pub handle: String,
    /// Why it is lost.
    pub reason: HandleLoss,
    /// When it was lost.
    pub lost_at: String,
}

/// The device checked in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CheckedIn {
    /// The device counts as live before this instant.
    pub lease_expires_at: String,
    /// Seconds until then.
    pub expires_in: u64,
}

/// A code with which another device of the same person signs up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MadeLinkCode {
    /// The code. It works once.
    pub link_code: LinkCode,
    /// The code is valid before this instant.
    pub expires_at: String,
}

/// What became of a claim.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A code was sent. [`Phone::confirm`](crate::Phone::confirm) takes it.
    CodeSent(Verification),
    /// The account holds the proof already, so the handle is bound.
    Proved(ProvedHandle),
}

/// An open verification.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Verification {
    /// Its id.
    pub verification: String,
    /// The handle that the code is sent to, in canonical form.
    pub handle: String,
    /// The kind of message that brings the code.
    pub sent_by: SentBy,
    /// The code is valid before this instant.
    pub expires_at: String,
    /// From this instant on the same claim sends another code.
    pub next_send_at: String,
    /// How many wrong codes are accepted.
    pub attempts_left: u32,
}

/// A handle whose ownership is proved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ProvedHandle {
    /// The handle in canonical form.
    pub handle: String,
    /// When its ownership was proved.
    pub proved_at: String,
}

/// A handle that no device backs any more.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DeregisteredHandle {
    /// The handle in canonical form.
    pub handle: String,
    /// Always true.
    pub deregistered: bool,
}

/// What the right code did.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Confirmed {
    /// It bound the handle to the device that claimed it.
    Bound(ProvedHandle),
    /// It took the handle from every device.
    Deregistered(DeregisteredHandle),
}

impl Confirmed {
    /// The handle in canonical form.
    #[must_use]
    pub fn handle(&self) -> &str {
        match self {
            Self::Bound(bound) => &bound.handle,
            Self::Deregistered(gone) => &gone.handle,
        }
    }
}

/// A handle in a request.
#[derive(Serialize)]
pub(crate) struct HandleRequest<'a> {
    pub(crate) handle: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<&'a str>,
}

/// A change of a handle in a request.
#[derive(Serialize)]
pub(crate) struct HandleChange {
    pub(crate) discoverable: bool,
}

/// A code in a request.
#[derive(Serialize)]
pub(crate) struct CodeRequest<'a> {
    pub(crate) code: &'a str,
}

/// Handles in a request.
#[derive(Serialize)]
pub(crate) struct BatchRequest<'a> {
    pub(crate) handles: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<&'a str>,
}

//! Changes: what the log is told about the registry, and the seam through which it is told.

use futures_util::future::BoxFuture;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
};

/// One change of the registry. The log's own record type mirrors it; neither room knows the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The change's own id, by which a record that was perhaps already written is recognised after a crash.
    pub id: ChangeId,
    /// When it was decided: the log has its record later, never earlier.
    pub at: Timestamp,
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

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// A device signed up.
    DeviceRegistered,
    /// A device is gone, with its bindings.
    DeviceRemoved,
    /// A device backs a handle.
    HandleBound,
    /// A device no longer backs a handle.
    HandleUnbound,
    /// A handle went to the account that proved it last.
    HandleMoved,
    /// A handle's owner took it back from every device.
    HandleDeregistered,
    /// A device has not checked in within the lease: one change for each handle it backs, so that each handle's
    /// timeline shows it, or one without a handle if it backs none.
    LeaseExpired,
}

/// Why the registry changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A new device signed up by itself.
    SignUp,
    /// A new device joined an account with a link code.
    Linked,
    /// The device signed out.
    SignOut,
    /// The code sent to the handle was answered.
    Proof,
    /// The account held the proof already.
    ProofHeld,
    /// The device gave the handle up.
    OwnerRequest,
    /// The code of a deregistration was answered.
    Deregistration,
    /// Another account proved the handle.
    NewerProof,
    /// Time passed without a check-in.
    Silence,
    /// An imported file held a newer proof.
    Import,
}

/// Resolves when the log has committed what was handed to it, or has failed to.
pub type Recording = BoxFuture<'static, Result<(), SinkFailed>>;

/// Where changes are recorded: the log, behind a seam.
pub trait ChangeSink: Send + Sync {
    /// Whether the log takes records at the moment. A hint: changes are refused before anything is done.
    fn is_writable(&self) -> bool;

    /// Takes `changes`, all or none, in this order, after everything handed over before. Called while no lookup can
    /// decide: it must only fill a buffer.
    ///
    /// The future need not be polled for the log to go on; it only tells.
    ///
    /// # Errors
    /// If the log takes no records at the moment; the registry offers the same changes again later.
    fn record(&self, changes: &[Change]) -> Result<Recording, SinkRefused>;
}

/// The log takes no records at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log takes no records")]
pub struct SinkRefused;

/// The log could not commit what it had taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log could not commit records")]
pub struct SinkFailed;

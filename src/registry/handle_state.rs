//! What is known about one handle.

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::HandleLoss,
};

/// The loss of a handle that no account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    /// Never [`HandleLoss::Moved`]: a handle that moved is held.
    pub(super) how: HandleLoss,
    pub(super) at: Timestamp,
}

/// What a lookup finds, at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleState {
    /// An account holds it.
    Claimed {
        /// The account.
        account: AccountId,
        /// The device that backs it with the longest lease.
        device: DeviceId,
        /// The handle is live until just before this instant.
        live_until: Timestamp,
        /// Whether strangers may find it.
        discoverable: bool,
    },
    /// It was held once, at most 30 days ago.
    Tombstone {
        /// How it ended: never [`HandleLoss::Moved`].
        how: HandleLoss,
        /// When it ended.
        at: Timestamp,
    },
    /// Never held, or so long ago that it is forgotten.
    Unknown,
}

/// Whether a loss at this instant has expired and must not be shown any more. One in the future was stamped while trusted
/// time was ahead. Nobody can tell its age, so it is forgotten early rather than kept for too long.
pub(super) fn is_forgotten(lost_at: Timestamp, now: Timestamp) -> bool {
    lost_at.plus(limits::TOMBSTONE_LIFETIME) <= now || now.plus(limits::CLOCK_AGREEMENT) < lost_at
}

impl Tombstone {
    pub(super) fn probe(&self, now: Timestamp) -> HandleState {
        // Exact, whether or not the tick has removed it yet.
        if is_forgotten(self.at, now) {
            return HandleState::Unknown;
        }
        HandleState::Tombstone { how: self.how, at: self.at }
    }
}

impl HandleState {
    /// Whether some device that backs the handle has checked in within its lease.
    pub fn is_live(&self, now: Timestamp) -> bool {
        matches!(self, Self::Claimed { live_until, .. } if now < *live_until)
    }
}

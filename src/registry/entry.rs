//! What is known about one handle.

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    limits,
};

use super::few::Few;

/// An account holds a handle: it proved it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) account: AccountId,
    /// When the account last proved the handle. A check-in does not touch it.
    pub(super) proved_at: Timestamp,
    /// Whether strangers may find it.
    pub(super) discoverable: bool,
    /// The devices that back it; never empty, since a claim ends with its last device.
    pub(super) devices: Few<DeviceId>,
}

/// How a handle that nobody holds ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) how: EndedHow,
    pub(super) at: Timestamp,
}

/// Why nobody holds a handle any more. There is no "moved": a handle that moved is held by its new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedHow {
    /// Its last device gave it up.
    Unbound,
    /// Its owner took it back from every device.
    Deregistered,
    /// Its last device signed out.
    DeviceRemoved,
}

/// What a lookup finds, at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// An account holds it.
    Claimed {
        /// The account.
        account: AccountId,
        /// The handle is live until just before this instant.
        live_until: Timestamp,
        /// Whether strangers may find it.
        discoverable: bool,
    },
    /// It was held once, at most 30 days ago.
    Ended {
        /// How it ended.
        how: EndedHow,
        /// When it ended.
        at: Timestamp,
    },
    /// Never held, or so long ago that it is forgotten.
    Unknown,
}

/// One handle in the index: all that a lookup needs, in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Claimed {
        claim: Claim,
        /// The latest lease of the devices that back it: kept here so that a lookup need not visit them.
        live_until: Timestamp,
    },
    Ended(Ended),
}

impl Ended {
    /// Whether it ended so long ago that it must not be told any more.
    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        self.at.plus(limits::TOMBSTONE_LIFETIME) <= now
    }
}

impl Entry {
    pub(super) fn probe(&self, now: Timestamp) -> Probe {
        match self {
            Self::Claimed { claim, live_until } => Probe::Claimed {
                account: claim.account,
                live_until: *live_until,
                discoverable: claim.discoverable,
            },
            // Exact, whether or not the tick has removed it yet.
            Self::Ended(ended) if ended.is_forgotten(now) => Probe::Unknown,
            Self::Ended(Ended { how, at }) => Probe::Ended { how: *how, at: *at },
        }
    }
}

impl Probe {
    /// Whether some device that backs the handle has checked in within its lease.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        matches!(self, Self::Claimed { live_until, .. } if now < *live_until)
    }
}

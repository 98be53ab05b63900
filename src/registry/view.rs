//! Reads of lookups: the state of handles, and the asking device.

use std::{sync::RwLockReadGuard, time::Duration};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
};

use super::{
    directory::Registry,
    error::{Loading, TokenError},
    handle_state::HandleState,
    index::Index,
    lease_offset::LeaseOffsets,
    packed::Packed,
    state::RegistryState,
    token::Presented,
};

/// The asking device, which showed its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// Whether the account holds a handle: its owner proved one, or an import brought it in.
    pub is_proven: bool,
}

/// The registry at one point in time.
///
/// While a view is held, no change becomes visible. So hold it for microseconds: decide, and hand the record to the log's
/// buffer. It cannot be held across an await in a task.
///
/// Take no second view while you hold one, and call nothing that takes one, such as `authenticate`. It would wait behind
/// a waiting change, and that change waits for the first view: a deadlock.
#[must_use = "a view orders what is decided under it"]
pub struct View<'a> {
    shared: &'a RegistryState,
    lease_offsets: &'a LeaseOffsets,
    index: RwLockReadGuard<'a, Index>,
    now: Timestamp,
}

impl View<'_> {
    /// The view's point in time, by which leases are judged.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What is known about `handle`.
    pub fn probe(&self, handle: &Handle) -> HandleState {
        self.index.probe(handle, self.now, |last| self.shared.live_until(last, self.now))
    }

    /// How much earlier than it does a lease seems to end: see `lease_offset.rs`. Less than [`LEASE_OFFSET_MAX`](crate::limits::LEASE_OFFSET_MAX).
    pub fn lease_offset(&self, device: DeviceId, live_until: Timestamp) -> Duration {
        self.lease_offsets.of(device, live_until)
    }

    /// The device as an asker, if it has not signed out since its token was checked.
    pub fn asker(&self, device: DeviceId) -> Option<Asker> {
        self.index.device(device).map(|(account, _)| asker(device, account))
    }
}

impl Registry {
    /// The registry at one point in time.
    pub fn view(&self) -> Result<View<'_>, Loading> {
        let index = self.shared.loaded()?;
        // Time is read inside the gate, so that it belongs to the same order.
        let (now, lease_offsets) = (self.shared.clock.now(), &self.lease_offsets);
        Ok(View { shared: &self.shared, lease_offsets, index, now })
    }

    /// Whose token this is.
    pub fn authenticate(&self, token: &str) -> Result<Asker, TokenError> {
        let presented = Presented::parse(token);
        let index = self.shared.loaded()?;
        let presented = presented.ok_or(TokenError::Invalid)?;
        let (packed, device) = index.device(presented.device).ok_or(TokenError::Invalid)?;
        if !device.token_hash().matches(&presented) {
            return Err(TokenError::Invalid);
        }
        Ok(asker(presented.device, packed))
    }
}

fn asker(device: DeviceId, account: Packed<'_>) -> Asker {
    Asker { device, account: account.account(), is_proven: account.handles_len() > 0 }
}

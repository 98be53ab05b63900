//! An account: one person's devices and the handles they hold, changed and stored as a whole.
//!
//! Whatever must agree (a claim names devices of its own account, at least one) lies in one row, so a crash cannot tear
//! it apart.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::{HandleLoss, Platform},
};

use super::token::TokenHash;

/// More than the numbers take that a row has of a device, a claim, a lost handle, or the account itself.
const NUMBERS_BYTES_MAX: usize = 64;

/// One person's devices and handles. An account is there as long as it has a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: AccountId,
    pub(super) devices: Vec<Device>,
    pub(super) claims: Vec<Claim>,
    /// Handles that it lost within the last 30 days, oldest first. Its devices may read them.
    pub(super) lost: Vec<LostDetails>,
}

/// A device of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) token_hash: TokenHash,
    pub(super) registered_at: Timestamp,
    /// The device counts as live until just before this instant plus the lease.
    pub(super) last_check_in_at: Timestamp,
    pub(super) name: Option<Box<str>>,
    pub(super) platform: Platform,
    /// Whether the log already says that this lease lapsed; a check-in clears it.
    pub(super) lapse_recorded: bool,
}

/// The account holds a handle: it proved it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) handle: Handle,
    /// When the account last proved the handle. A check-in does not touch it.
    pub(super) proved_at: Timestamp,
    /// Whether strangers may find it.
    pub(super) discoverable: bool,
    /// The devices that back it; never empty, since a claim ends with its last device.
    pub(super) devices: Vec<DeviceId>,
}

/// A handle that an account does not hold any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LostDetails {
    /// The handle.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// `moved`: another account proved it later. `deregistered`: it was taken back with a code. `unbound`,
    /// `device-removed`: the last device that backed it gave it up, or signed out.
    #[serde(rename = "reason")]
    pub how: HandleLoss,
    /// When the account lost it.
    #[serde(rename = "lost_at")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-25T10:00:00.000000Z")]
    pub at: Timestamp,
}

impl Account {
    pub(super) fn new(id: AccountId) -> Self {
        Self { id, devices: Vec::new(), claims: Vec::new(), lost: Vec::new() }
    }

    pub(super) fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    pub(super) fn device_mut(&mut self, id: DeviceId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|device| device.id == id)
    }

    pub(super) fn claim(&self, handle: &Handle) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.handle == *handle)
    }

    pub(super) fn claim_mut(&mut self, handle: &Handle) -> Option<&mut Claim> {
        self.claims.iter_mut().find(|claim| claim.handle == *handle)
    }

    /// Whether the log says that the device has lapsed, for each handle that it backed then.
    pub(super) fn has_recorded_lapse(&self, device: DeviceId) -> bool {
        self.device(device).is_some_and(|device| device.lapse_recorded)
    }

    /// The handles that `device` backs.
    pub(super) fn backed(&self, device: DeviceId) -> Vec<Handle> {
        let backed = self.claims.iter().filter(|claim| claim.devices.contains(&device));
        backed.map(|claim| claim.handle.clone()).collect()
    }

    /// Takes `device` out of the claim on `handle`. True if that was the last one: then the claim ended.
    pub(super) fn release(
        &mut self,
        handle: &Handle,
        device: DeviceId,
        how: HandleLoss,
        now: Timestamp,
    ) -> bool {
        let Some(claim) = self.claim_mut(handle) else {
            return false;
        };
        claim.devices.retain(|one| *one != device);
        let has_ended = claim.devices.is_empty();
        if has_ended {
            self.lose(handle, how, now);
        }
        has_ended
    }

    /// The account does not hold `handle` any more, which its devices may read for a while.
    pub(super) fn lose(&mut self, handle: &Handle, how: HandleLoss, at: Timestamp) {
        self.claims.retain(|claim| claim.handle != *handle);
        self.lost.retain(|lost| lost.handle != *handle);
        if self.lost.len() >= limits::LOST_HANDLES_PER_ACCOUNT_MAX {
            self.lost.remove(0);
        }
        self.lost.push(LostDetails { handle: handle.clone(), how, at });
    }

    /// The device that checked in since the account was `was`, if nothing else changed.
    pub(super) fn renewed_since(&self, was: &Self) -> Option<&Device> {
        let mut changed = self.devices.iter().zip(&was.devices).filter(|(now, then)| now != then);
        let (now, then) = changed.next()?;
        let last_check_in_at = now.last_check_in_at;
        let renewed = Device { last_check_in_at, lapse_recorded: false, ..then.clone() };
        let is_renewed = *now == renewed && changed.next().is_none();
        let is_rest_same = self.devices.len() == was.devices.len()
            && self.claims == was.claims
            && self.lost == was.lost;
        (is_renewed && is_rest_same).then_some(now)
    }

    /// At least as many bytes as its row has.
    pub(super) fn row_bytes_max(&self) -> usize {
        let of_handle = |handle: &Handle| match handle {
            Handle::Phone(_) => NUMBERS_BYTES_MAX,
            Handle::Email(address) => NUMBERS_BYTES_MAX + address.as_str().len(),
        };
        let name = |device: &Device| device.name.as_ref().map_or(0, |name| name.len());
        let devices = self.devices.iter().map(|device| NUMBERS_BYTES_MAX + name(device));
        // A bit for each device.
        let backing = self.devices.len() / 8;
        let claims = self.claims.iter().map(|claim| of_handle(&claim.handle) + backing);
        let lost = self.lost.iter().map(|lost| of_handle(&lost.handle));
        NUMBERS_BYTES_MAX + devices.chain(claims).chain(lost).sum::<usize>()
    }

    /// Whether rows that were read make sense: devices and handles once each, a claim's devices its account's own.
    pub(super) fn is_sound(&self) -> bool {
        let once =
            |ids: &[DeviceId]| (1..ids.len()).all(|place| !ids[..place].contains(&ids[place]));
        let devices: Vec<_> = self.devices.iter().map(|device| device.id).collect();
        let claims_once = (1..self.claims.len()).all(|place| {
            self.claims[..place].iter().all(|one| one.handle != self.claims[place].handle)
        });
        let own = |claim: &Claim| {
            let backing = &claim.devices;
            !backing.is_empty() && once(backing) && backing.iter().all(|id| devices.contains(id))
        };
        !devices.is_empty() && once(&devices) && claims_once && self.claims.iter().all(own)
    }
}

impl Claim {
    /// Has `device` back the claim. False if it did already.
    pub(super) fn add(&mut self, device: DeviceId) -> bool {
        let is_new = !self.devices.contains(&device);
        if is_new {
            self.devices.push(device);
        }
        is_new
    }
}

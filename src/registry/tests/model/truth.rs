//! The model: what is true after each command, said as simply as it can be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::{
    limits,
    registry::{AccountFlag, DeviceToken, LostDetails, RowKind},
    vocabulary::{Cause, ChangeKind, HandleLoss},
};

/// Devices that operations can mean by number; a few more if all of them are there.
const KNOWN: usize = 24;
/// Tokens of devices that are gone, or of an earlier time of theirs, that are still tried now and then.
const PAST: usize = 512;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::registry::tests) struct Device {
    pub(in crate::registry::tests) account: AccountId,
    pub(in crate::registry::tests) platform: Platform,
    pub(in crate::registry::tests) name: Option<String>,
    pub(in crate::registry::tests) registered_at: Timestamp,
    pub(in crate::registry::tests) checked_in_at: Timestamp,
    pub(in crate::registry::tests) lapse_recorded: bool,
    /// The one token that is good, if somebody has it.
    pub(in crate::registry::tests) token: Option<DeviceToken>,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::registry::tests) struct Claim {
    pub(in crate::registry::tests) account: AccountId,
    pub(in crate::registry::tests) proved_at: Timestamp,
    pub(in crate::registry::tests) discoverable: bool,
    pub(in crate::registry::tests) devices: BTreeSet<DeviceId>,
}

pub(in crate::registry::tests) type Told =
    (ChangeKind, Option<Handle>, Option<DeviceId>, Option<AccountId>, Cause);

/// What a device may do with a handle goes wrong in these ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry::tests) enum Refusal {
    DeviceUnknown,
    NotBound,
}

pub(in crate::registry::tests) type RowName = (RowKind, &'static [u8]);

/// When it ends, and its value.
pub(in crate::registry::tests) type Row = (Option<Timestamp>, Vec<u8>);

#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::registry::tests) struct Truth {
    pub(in crate::registry::tests) devices: BTreeMap<DeviceId, Device>,
    pub(in crate::registry::tests) claims: BTreeMap<Handle, Claim>,
    pub(in crate::registry::tests) ended: BTreeMap<Handle, (HandleLoss, Timestamp)>,
    /// In the order of their loss, whatever the clock said.
    pub(in crate::registry::tests) lost: BTreeMap<AccountId, Vec<LostDetails>>,
    /// Devices that are or lately were, each with the token it was once given.
    pub(in crate::registry::tests) known: Vec<(DeviceId, DeviceToken)>,
    pub(in crate::registry::tests) past: VecDeque<(DeviceId, DeviceToken)>,
    pub(in crate::registry::tests) rows: BTreeMap<RowName, Row>,
    pub(in crate::registry::tests) flags: BTreeMap<AccountId, AccountFlag>,
    /// Until when a proof clears no flag of these accounts.
    pub(in crate::registry::tests) cleared: BTreeMap<AccountId, Timestamp>,
    /// What the log must hold next. Changes of one command come in any order.
    pub(in crate::registry::tests) told: Vec<BTreeSet<String>>,
}

/// A change as it is compared.
pub(in crate::registry::tests) fn text(told: &Told) -> String {
    let (kind, handle, device, account, cause) = told;
    let handle = handle.as_ref().map(|handle| handle.canonical().into_owned());
    format!("{kind:?} {handle:?} {device:?} {account:?} {cause:?}")
}

impl Device {
    pub(in crate::registry::tests) fn lease_until(&self) -> Timestamp {
        self.checked_in_at.plus(LEASE)
    }
}

impl Truth {
    /// A device by number; one that nobody ever was by the last number.
    pub(in crate::registry::tests) fn pick(&self, slot: usize) -> DeviceId {
        let known = self.known.get(slot % (self.known.len() + 1));
        known.map_or(DeviceId::from_bits(1), |(device, _)| *device)
    }

    /// Whether this token is good now.
    pub(in crate::registry::tests) fn is_good(&self, id: DeviceId, token: &DeviceToken) -> bool {
        self.devices.get(&id).is_some_and(|device| device.token.as_ref() == Some(token))
    }

    pub(in crate::registry::tests) fn meet(&mut self, id: DeviceId, token: DeviceToken) {
        self.known.push((id, token));
        let is_past = |(id, token): &(DeviceId, DeviceToken)| !self.is_good(*id, token);
        if self.known.len() > KNOWN
            && let Some(place) = self.known.iter().position(is_past)
        {
            self.past.push_back(self.known.remove(place));
        }
        if self.past.len() > PAST {
            self.past.pop_front();
        }
    }

    pub(in crate::registry::tests) fn devices_of(&self, account: AccountId) -> usize {
        self.devices.values().filter(|device| device.account == account).count()
    }

    pub(in crate::registry::tests) fn account_of(
        &self,
        id: DeviceId,
    ) -> Result<AccountId, Refusal> {
        self.devices.get(&id).map(|device| device.account).ok_or(Refusal::DeviceUnknown)
    }

    pub(in crate::registry::tests) fn tell(&mut self, told: impl IntoIterator<Item = Told>) {
        let told: BTreeSet<_> = told.into_iter().map(|one| text(&one)).collect();
        if !told.is_empty() {
            self.told.push(told);
        }
    }

    pub(in crate::registry::tests) fn signed_up(
        &mut self,
        new: &SignedUp,
        cause: Cause,
        now: Timestamp,
    ) {
        let device = Device {
            account: new.account,
            platform: Platform::Ios,
            name: Some("a phone".to_owned()),
            registered_at: now,
            checked_in_at: now,
            lapse_recorded: false,
            token: Some(new.token.clone()),
        };
        self.devices.insert(new.device, device);
        self.meet(new.device, new.token.clone());
        let (id, account) = (Some(new.device), Some(new.account));
        let mut told = vec![(ChangeKind::DeviceRegistered, None, id, account, cause)];
        for (handle, claim) in &mut self.claims {
            if claim.account == new.account {
                claim.devices.insert(new.device);
                told.push((ChangeKind::HandleBound, Some(handle.clone()), id, account, cause));
            }
        }
        self.tell(told);
    }

    pub(in crate::registry::tests) fn release(
        &mut self,
        handle: &Handle,
        device: DeviceId,
        how: HandleLoss,
        now: Timestamp,
    ) {
        if let Some(claim) = self.claims.get_mut(handle) {
            claim.devices.remove(&device);
            if claim.devices.is_empty() {
                let account = claim.account;
                self.claims.remove(handle);
                self.ended.insert(handle.clone(), (how, now));
                self.lose(account, handle, how, now);
            }
        }
    }

    pub(in crate::registry::tests) fn lose(
        &mut self,
        account: AccountId,
        handle: &Handle,
        how: HandleLoss,
        at: Timestamp,
    ) {
        let lost = self.lost.entry(account).or_default();
        lost.retain(|lost| lost.handle != *handle);
        lost.push(LostDetails { handle: handle.clone(), how, at });
        let too_many = lost.len().saturating_sub(limits::LOST_HANDLES_PER_ACCOUNT_MAX);
        lost.drain(..too_many);
    }

    pub(in crate::registry::tests) fn backed(&self, device: DeviceId) -> Vec<Handle> {
        let backed = self.claims.iter().filter(|(_, claim)| claim.devices.contains(&device));
        backed.map(|(handle, _)| handle.clone()).collect()
    }

    pub(in crate::registry::tests) fn check_in(
        &mut self,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let mut backed: Vec<_> = self.backed(id).into_iter().map(Some).collect();
        if backed.is_empty() {
            backed.push(None);
        }
        let device = self.devices.get_mut(&id).ok_or(Refusal::DeviceUnknown)?;
        let (account, was_recorded) = (Some(device.account), device.lapse_recorded);
        let had_lapsed = device.lease_until() <= now;
        device.checked_in_at = now;
        device.lapse_recorded = false;
        let lease_until = device.lease_until();
        let lapsed = (ChangeKind::LeaseExpired, Cause::Silence, had_lapsed && !was_recorded);
        let back = (ChangeKind::DeviceRevived, Cause::CheckIn, had_lapsed || was_recorded);
        let told = [lapsed, back].into_iter().filter(|(_, _, is_told)| *is_told);
        let told: Vec<_> = told
            .flat_map(|(kind, cause, _)| {
                backed.iter().map(move |handle| (kind, handle.clone(), Some(id), account, cause))
            })
            .collect();
        self.tell(told);
        Ok(lease_until)
    }

    pub(in crate::registry::tests) fn sign_out(
        &mut self,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let account = self.account_of(id)?;
        let told = self.remove(id, account, Cause::SignOut, now);
        self.tell(told);
        Ok(())
    }

    fn remove(&mut self, id: DeviceId, own: AccountId, cause: Cause, now: Timestamp) -> Vec<Told> {
        let account = Some(own);
        let mut told = vec![(ChangeKind::DeviceRemoved, None, Some(id), account, cause)];
        for handle in self.backed(id) {
            self.release(&handle, id, HandleLoss::DeviceRemoved, now);
            told.push((ChangeKind::HandleUnbound, Some(handle), Some(id), account, cause));
        }
        self.devices.remove(&id);
        if self.devices_of(own) == 0 {
            self.lost.remove(&own);
            self.flags.remove(&own);
        }
        told
    }

    pub(in crate::registry::tests) fn tick(&mut self, now: Timestamp) {
        let mut told = Vec::new();
        let due = |device: &Device| device.lease_until() <= now && !device.lapse_recorded;
        for (id, device) in self.devices.iter().filter(|(_, device)| due(device)) {
            let mut handles: Vec<_> = self.backed(*id).into_iter().map(Some).collect();
            if handles.is_empty() {
                handles.push(None);
            }
            let (kind, cause) = (ChangeKind::LeaseExpired, Cause::Silence);
            let account = Some(device.account);
            told.extend(
                handles.into_iter().map(|handle| (kind, handle, Some(*id), account, cause)),
            );
        }
        for device in self.devices.values_mut() {
            device.lapse_recorded |= device.lease_until() <= now;
        }
        let silent = |device: &Device| device.checked_in_at.plus(FORGET_AFTER) <= now;
        let silent = self.devices.iter().filter(|(_, device)| silent(device));
        let silent: Vec<_> = silent.map(|(id, device)| (*id, device.account)).collect();
        for (id, account) in silent {
            told.extend(self.remove(id, account, Cause::Silence, now));
        }
        self.tell(told);
        self.ended.retain(|_, (_, at)| now < at.plus(REMEMBERED));
        for lost in self.lost.values_mut() {
            lost.retain(|lost| now < lost.at.plus(REMEMBERED));
        }
    }
}

//! The model's rules of handles: proved, bound again, given up, taken back, hidden.

use crate::{
    limits,
    vocabulary::{Cause, ChangeKind, HandleLoss},
};
use std::collections::BTreeSet;

use super::{
    truth::{Claim, Refusal, Told, Truth},
    *,
};

impl Truth {
    pub(in crate::registry::tests) fn prove(
        &mut self,
        id: DeviceId,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<Timestamp, Refusal> {
        let account = self.account_of(id)?;
        let mut told =
            (ChangeKind::HandleBound, Some(handle.clone()), Some(id), Some(account), Cause::Proof);
        let before = self.claims.remove(handle);
        let own = before.as_ref().filter(|claim| claim.account == account).cloned();
        if let (None, Some(foreign)) = (&own, before) {
            self.lose(foreign.account, handle, HandleLoss::Moved, now);
            (told.0, told.4) = (ChangeKind::HandleMoved, Cause::NewerProof);
        }
        if let Some(lost) = self.lost.get_mut(&account) {
            lost.retain(|lost| lost.handle != *handle);
        }
        let (discoverable, mut devices) =
            own.map_or((true, BTreeSet::new()), |claim| (claim.discoverable, claim.devices));
        let is_silent = devices.insert(id) && self.devices[&id].lapse_recorded;
        self.claims
            .insert(handle.clone(), Claim { account, proved_at: now, discoverable, devices });
        self.ended.remove(handle);
        let (kind, cause) = (ChangeKind::AccountCleared, Cause::Proof);
        let was_cleared = self.cleared.get(&account).is_some_and(|until| now < *until);
        let cleared = if was_cleared { None } else { self.flags.remove(&account) };
        if cleared.is_some() {
            self.cleared.insert(account, now.plus(limits::FLAG_CLEARED_BY_PROOF_EVERY));
        }
        let cleared = cleared.map(|_| (kind, None, None, Some(account), cause));
        let lapsed = is_silent.then(|| lapse(handle, id, account));
        self.tell([told].into_iter().chain(lapsed).chain(cleared));
        Ok(now)
    }

    pub(in crate::registry::tests) fn rebind(
        &mut self,
        id: DeviceId,
        handle: &Handle,
    ) -> Result<Option<Timestamp>, Refusal> {
        let account = self.account_of(id)?;
        let own = self.claims.get_mut(handle).filter(|claim| claim.account == account);
        let Some(claim) = own else {
            return Ok(None);
        };
        let proved_at = claim.proved_at;
        if claim.devices.insert(id) {
            let (kind, cause) = (ChangeKind::HandleBound, Cause::ProofHeld);
            let bound = (kind, Some(handle.clone()), Some(id), Some(account), cause);
            let is_silent = self.devices[&id].lapse_recorded;
            self.tell([bound].into_iter().chain(is_silent.then(|| lapse(handle, id, account))));
        }
        Ok(Some(proved_at))
    }

    pub(in crate::registry::tests) fn unbind(
        &mut self,
        id: DeviceId,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let account = self.account_of(id)?;
        if !self.backed(id).contains(handle) {
            return Err(Refusal::NotBound);
        }
        self.release(handle, id, HandleLoss::Unbound, now);
        let (kind, cause) = (ChangeKind::HandleUnbound, Cause::OwnerRequest);
        self.tell([(kind, Some(handle.clone()), Some(id), Some(account), cause)]);
        Ok(())
    }

    pub(in crate::registry::tests) fn deregister(&mut self, handle: &Handle, now: Timestamp) {
        if let Some(claim) = self.claims.remove(handle) {
            self.ended.insert(handle.clone(), (HandleLoss::Deregistered, now));
            self.lose(claim.account, handle, HandleLoss::Deregistered, now);
            let (kind, cause) = (ChangeKind::HandleDeregistered, Cause::Deregistration);
            self.tell([(kind, Some(handle.clone()), None, Some(claim.account), cause)]);
        }
    }

    pub(in crate::registry::tests) fn set_discoverable(
        &mut self,
        id: DeviceId,
        handle: &Handle,
        discoverable: bool,
    ) -> Result<(), Refusal> {
        let account = self.account_of(id)?;
        let backed = self.claims.get_mut(handle).filter(|claim| claim.devices.contains(&id));
        let claim = backed.ok_or(Refusal::NotBound)?;
        if std::mem::replace(&mut claim.discoverable, discoverable) != discoverable {
            let kind =
                if discoverable { ChangeKind::HandleShown } else { ChangeKind::HandleHidden };
            let (handle, cause) = (Some(handle.clone()), Cause::OwnerRequest);
            self.tell([(kind, handle, Some(id), Some(account), cause)]);
        }
        Ok(())
    }
}

/// A device that has lapsed makes no handle live.
pub(in crate::registry::tests) fn lapse(
    handle: &Handle,
    device: DeviceId,
    account: AccountId,
) -> Told {
    let (kind, cause) = (ChangeKind::LeaseExpired, Cause::Silence);
    (kind, Some(handle.clone()), Some(device), Some(account), cause)
}

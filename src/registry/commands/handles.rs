//! Commands of handles: prove, bind again, give up, take back.

use std::ops::ControlFlow;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::{Cause, ChangeKind, HandleLoss},
};

use crate::registry::{
    account::{Account, Claim},
    device::HandleDetails,
    directory::Registry,
    error::{ChangeError, DeviceError},
    job::Touches,
    plan::Plan,
    row_changes::Rows,
};

use super::{flags::unflag_by_proof, rows::decided_by};

/// What a command of `device` about `handle` touches.
fn both(device: DeviceId, handle: &Handle) -> Touches {
    Touches { device: Some(device), handle: Some(handle.clone()), ..Touches::default() }
}

impl Registry {
    /// Gives `handle`, whose ownership was just verified, to the device and its account, whoever held it before.
    /// Returns the moment of the proof. A handle that its account hid stays hidden as long as it is held; after it
    /// ended or moved it is shown.
    ///
    /// Only if `decide` says so, in the same transaction. If it breaks, its row changes are made and nothing is proved. If
    /// the proof fails, its row changes are dropped, too.
    pub async fn prove_with<B: Send + 'static>(
        &self,
        device: DeviceId,
        handle: Handle,
        mut decide: impl FnMut(&mut Rows<'_>) -> ControlFlow<B> + Send + 'static,
    ) -> Result<ControlFlow<B, Timestamp>, DeviceError> {
        self.check_space()?;
        let touches = both(device, &handle);
        let prove = move |plan: &mut Plan| {
            decided_by(plan, &mut decide, |plan| prove(plan, device, &handle))
        };
        self.submit(touches, prove).await
    }

    /// Lets the device back a handle that its account holds already, and returns when that was proved. `None` if the
    /// account does not hold it.
    pub async fn rebind(
        &self,
        device: DeviceId,
        handle: Handle,
    ) -> Result<Option<Timestamp>, DeviceError> {
        self.submit(both(device, &handle), move |plan| rebind(plan, device, &handle)).await
    }

    /// The device gives a handle up.
    pub async fn unbind(&self, device: DeviceId, handle: Handle) -> Result<(), DeviceError> {
        self.submit(both(device, &handle), move |plan| unbind(plan, device, &handle)).await
    }

    /// Takes a handle from every device. If nobody holds it, that needs no change and no record.
    ///
    /// Only if `decide` says so, in the same transaction. If it breaks, its row changes are made and the handle stays.
    pub async fn deregister_with<B: Send + 'static>(
        &self,
        handle: Handle,
        mut decide: impl FnMut(&mut Rows<'_>) -> ControlFlow<B> + Send + 'static,
    ) -> Result<ControlFlow<B>, ChangeError> {
        let touches = Touches { handle: Some(handle.clone()), ..Touches::default() };
        let deregister =
            move |plan: &mut Plan| decided_by(plan, &mut decide, |plan| deregister(plan, &handle));
        self.submit(touches, deregister).await
    }

    /// Shows a handle to strangers or hides it from them.
    pub async fn set_discoverable(
        &self,
        device: DeviceId,
        handle: Handle,
        discoverable: bool,
    ) -> Result<HandleDetails, DeviceError> {
        let touches = both(device, &handle);
        self.submit(touches, move |plan| set_discoverable(plan, device, &handle, discoverable))
            .await
    }
}

/// The newest proof wins, at once: what another account held moves over and none of its devices keeps it.
fn prove(plan: &mut Plan, id: DeviceId, handle: &Handle) -> Result<Timestamp, DeviceError> {
    let now = plan.now;
    let account = plan.own_account(id)?;
    let own = account.id;
    let handles_max = limits::HANDLES_PER_ACCOUNT_MAX;
    if account.claim(handle).is_none() && account.claims.len() >= handles_max {
        return Err(DeviceError::TooManyHandles { handles_max });
    }
    let foreign = plan.holder(handle).filter(|holder| *holder != own);
    if let Some(foreign) = foreign {
        take_from(plan, foreign, handle)?;
    }
    let account = plan.own_account(id)?;
    account.lost.retain(|lost| lost.handle != *handle);
    let is_new = if let Some(claim) = account.claim_mut(handle) {
        claim.proved_at = now;
        claim.add(id)
    } else {
        let (handle, devices) = (handle.clone(), vec![id]);
        account.claims.push(Claim { handle, proved_at: now, discoverable: true, devices });
        true
    };
    let is_silent = is_new && account.has_recorded_lapse(id);
    plan.forget_end(handle);
    let (kind, cause) = match foreign {
        Some(_) => (ChangeKind::HandleMoved, Cause::NewerProof),
        None => (ChangeKind::HandleBound, Cause::Proof),
    };
    record_binding(plan, (kind, cause), handle, id, own, is_silent);
    unflag_by_proof(plan, own);
    Ok(now)
}

/// Records that the device backs the handle. That renews no lease: a handle that only a lapsed device backs is not live,
/// and the log says so.
fn record_binding(
    plan: &mut Plan,
    (kind, cause): (ChangeKind, Cause),
    handle: &Handle,
    device: DeviceId,
    account: AccountId,
    is_silent: bool,
) {
    plan.record(kind, cause, Some(handle), Some(device), Some(account));
    if is_silent {
        let (kind, cause) = (ChangeKind::LeaseExpired, Cause::Silence);
        plan.record(kind, cause, Some(handle), Some(device), Some(account));
    }
}

/// The account loses `handle` to a newer proof.
pub(super) fn take_from(
    plan: &mut Plan,
    holder: AccountId,
    handle: &Handle,
) -> Result<(), ChangeError> {
    let now = plan.now;
    if let Some(account) = plan.account(holder)? {
        account.lose(handle, HandleLoss::Moved, now);
    }
    Ok(())
}

/// Only a proof that the account holds now counts: once the handle has ended it takes a new one.
fn rebind(
    plan: &mut Plan,
    id: DeviceId,
    handle: &Handle,
) -> Result<Option<Timestamp>, DeviceError> {
    let account = plan.own_account(id)?;
    let (own, is_silent) = (account.id, account.has_recorded_lapse(id));
    let Some(claim) = account.claim_mut(handle) else {
        return Ok(None);
    };
    let proved_at = claim.proved_at;
    if claim.add(id) {
        let what = (ChangeKind::HandleBound, Cause::ProofHeld);
        record_binding(plan, what, handle, id, own, is_silent);
    }
    Ok(Some(proved_at))
}

/// The account of `device`, if that backs `handle`.
fn backing<'p>(
    plan: &'p mut Plan,
    device: DeviceId,
    handle: &Handle,
) -> Result<&'p mut Account, DeviceError> {
    let account = plan.own_account(device)?;
    match account.claim(handle) {
        Some(claim) if claim.devices.contains(&device) => Ok(account),
        _ => Err(DeviceError::NotBound),
    }
}

fn unbind(plan: &mut Plan, device: DeviceId, handle: &Handle) -> Result<(), DeviceError> {
    let now = plan.now;
    let account = backing(plan, device, handle)?;
    let id = account.id;
    if account.release(handle, device, HandleLoss::Unbound, now) {
        plan.end(handle, HandleLoss::Unbound);
    }
    let (kind, cause) = (ChangeKind::HandleUnbound, Cause::OwnerRequest);
    plan.record(kind, cause, Some(handle), Some(device), Some(id));
    Ok(())
}

fn deregister(plan: &mut Plan, handle: &Handle) -> Result<(), ChangeError> {
    let now = plan.now;
    let Some(holder) = plan.holder(handle) else {
        return Ok(());
    };
    if let Some(account) = plan.account(holder)? {
        account.lose(handle, HandleLoss::Deregistered, now);
        plan.end(handle, HandleLoss::Deregistered);
        let (kind, cause) = (ChangeKind::HandleDeregistered, Cause::Deregistration);
        plan.record(kind, cause, Some(handle), None, Some(holder));
    }
    Ok(())
}

fn set_discoverable(
    plan: &mut Plan,
    device: DeviceId,
    handle: &Handle,
    discoverable: bool,
) -> Result<HandleDetails, DeviceError> {
    let account = backing(plan, device, handle)?;
    let id = account.id;
    let claim = account.claim_mut(handle).ok_or(DeviceError::NotBound)?;
    let proved_at = claim.proved_at;
    if std::mem::replace(&mut claim.discoverable, discoverable) != discoverable {
        let kind = if discoverable { ChangeKind::HandleShown } else { ChangeKind::HandleHidden };
        plan.record(kind, Cause::OwnerRequest, Some(handle), Some(device), Some(id));
    }
    Ok(HandleDetails { handle: handle.clone(), proved_at, discoverable })
}

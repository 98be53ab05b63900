//! Commands of handles: prove, bind again, give up, take back.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::{Cause, ChangeKind, HandleLoss},
};

use super::{
    context::Context, devices::own_account, operation::Operation, plan::Plan, touched::Touch,
};
use crate::registry::{
    account::{Account, Claim},
    device::HandleDetails,
    error::{BindError, ChangeError, DeviceError},
    inline_vec::InlineVec,
};

pub(in crate::registry) struct Prove(
    pub(in crate::registry) DeviceId,
    pub(in crate::registry) Handle,
);

pub(in crate::registry) struct Rebind(
    pub(in crate::registry) DeviceId,
    pub(in crate::registry) Handle,
);

pub(in crate::registry) struct Unbind(
    pub(in crate::registry) DeviceId,
    pub(in crate::registry) Handle,
);

pub(in crate::registry) struct Deregister(pub(in crate::registry) Handle);

pub(in crate::registry) struct SetDiscoverable {
    pub(in crate::registry) device: DeviceId,
    pub(in crate::registry) handle: Handle,
    pub(in crate::registry) discoverable: bool,
}

impl Operation for Prove {
    type Done = Timestamp;
    type Error = BindError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.0), Some(&self.1))
    }

    /// The newest proof wins, at once: what another account held moves over and none of its devices keeps it.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Timestamp, BindError> {
        let Self(id, handle) = self;
        let own = context.account_of(*id).ok_or(BindError::DeviceUnknown)?;
        let foreign = context.holder(handle).filter(|holder| *holder != own);
        check_limit(context, plan, own, handle)?;
        if let Some(foreign) = foreign {
            take_from(context, plan, foreign, handle)?;
        }
        let account = plan.account(context, own)?.ok_or(BindError::DeviceUnknown)?;
        account.lost.retain(|lost| lost.handle != *handle);
        let was_backing = match account.claim_mut(handle) {
            Some(claim) => {
                let was_backing = claim.devices.contains(id);
                claim.proved_at = context.now;
                claim.devices = claim.devices.with(*id);
                was_backing
            }
            None => {
                account.claims.push(Claim {
                    handle: handle.clone(),
                    proved_at: context.now,
                    discoverable: true,
                    devices: InlineVec::One(*id),
                });
                false
            }
        };
        let is_silent = !was_backing && has_recorded_lapse(account, *id);
        if context.tombstone(handle).is_some() {
            plan.forget_end(handle);
        }
        let (kind, cause) = match foreign {
            Some(_) => (ChangeKind::HandleMoved, Cause::NewerProof),
            None => (ChangeKind::HandleBound, Cause::Proof),
        };
        plan.record(kind, cause, Some(handle), Some(*id), Some(own));
        if is_silent {
            record_lapse(plan, handle, *id, own);
        }
        Ok(context.now)
    }
}

/// Whether the log says that the device has lapsed, for each handle that it backed then.
fn has_recorded_lapse(account: &Account, device: DeviceId) -> bool {
    account.device(device).is_some_and(|device| device.lapse_recorded)
}

/// A proof renews no lease: a handle that only a lapsed device backs is not live. The log says so.
fn record_lapse(plan: &mut Plan, handle: &Handle, device: DeviceId, account: AccountId) {
    let (kind, cause) = (ChangeKind::LeaseExpired, Cause::Silence);
    plan.record(kind, cause, Some(handle), Some(device), Some(account));
}

fn check_limit(
    context: &Context<'_>,
    plan: &mut Plan,
    own: AccountId,
    handle: &Handle,
) -> Result<(), BindError> {
    let account = plan.account(context, own)?.ok_or(BindError::DeviceUnknown)?;
    let handles_max = limits::HANDLES_PER_ACCOUNT_MAX;
    if account.claim(handle).is_none() && account.claims.len() >= handles_max {
        return Err(BindError::TooManyHandles { handles_max });
    }
    Ok(())
}

/// The account loses `handle` to a newer proof.
pub(super) fn take_from(
    context: &Context<'_>,
    plan: &mut Plan,
    holder: AccountId,
    handle: &Handle,
) -> Result<(), ChangeError> {
    if let Some(account) = plan.account(context, holder)? {
        account.lose(handle, HandleLoss::Moved, context.now);
    }
    Ok(())
}

impl Operation for Rebind {
    type Done = Option<Timestamp>;
    type Error = BindError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.0), Some(&self.1))
    }

    /// Only a proof that the account holds now counts: once the handle has ended it takes a new one.
    fn plan(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
    ) -> Result<Option<Timestamp>, BindError> {
        let Self(id, handle) = self;
        let account = own_account(context, plan, *id)?.ok_or(BindError::DeviceUnknown)?;
        let (own, is_silent) = (account.id, has_recorded_lapse(account, *id));
        let Some(claim) = account.claim_mut(handle) else {
            return Ok(None);
        };
        let proved_at = claim.proved_at;
        if !claim.devices.contains(id) {
            claim.devices = claim.devices.with(*id);
            let (kind, cause) = (ChangeKind::HandleBound, Cause::ProofHeld);
            plan.record(kind, cause, Some(handle), Some(*id), Some(own));
            if is_silent {
                record_lapse(plan, handle, *id, own);
            }
        }
        Ok(Some(proved_at))
    }
}

/// The account of `device`, if that backs `handle`.
fn backing<'p>(
    context: &Context<'_>,
    plan: &'p mut Plan,
    device: DeviceId,
    handle: &Handle,
) -> Result<&'p mut Account, DeviceError> {
    let account = own_account(context, plan, device)?.ok_or(DeviceError::DeviceUnknown)?;
    match account.claim(handle) {
        Some(claim) if claim.devices.contains(&device) => Ok(account),
        _ => Err(DeviceError::NotBound),
    }
}

impl Operation for Unbind {
    type Done = ();
    type Error = DeviceError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.0), Some(&self.1))
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), DeviceError> {
        let Self(device, handle) = self;
        let account = backing(context, plan, *device, handle)?;
        let id = account.id;
        if account.release(handle, *device, HandleLoss::Unbound, context.now) {
            plan.end(handle, HandleLoss::Unbound);
        }
        let (kind, cause) = (ChangeKind::HandleUnbound, Cause::OwnerRequest);
        plan.record(kind, cause, Some(handle), Some(*device), Some(id));
        Ok(())
    }
}

impl Operation for Deregister {
    type Done = ();
    type Error = ChangeError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(None, Some(&self.0))
    }

    /// A handle that no account holds needs no change and no record.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), ChangeError> {
        let holder = context.holder(&self.0);
        let account = match holder {
            Some(holder) => plan.account(context, holder)?,
            None => None,
        };
        if let Some(account) = account {
            account.lose(&self.0, HandleLoss::Deregistered, context.now);
            plan.end(&self.0, HandleLoss::Deregistered);
            let (kind, cause) = (ChangeKind::HandleDeregistered, Cause::Deregistration);
            plan.record(kind, cause, Some(&self.0), None, holder);
        }
        Ok(())
    }
}

impl Operation for SetDiscoverable {
    type Done = HandleDetails;
    type Error = DeviceError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.device), Some(&self.handle))
    }

    fn plan(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
    ) -> Result<HandleDetails, DeviceError> {
        let Self { device, handle, discoverable } = self;
        let account = backing(context, plan, *device, handle)?;
        let id = account.id;
        let claim = account.claim_mut(handle).ok_or(DeviceError::NotBound)?;
        let proved_at = claim.proved_at;
        let was_discoverable = std::mem::replace(&mut claim.discoverable, *discoverable);
        if was_discoverable != *discoverable {
            let kind =
                if *discoverable { ChangeKind::HandleShown } else { ChangeKind::HandleHidden };
            plan.record(kind, Cause::OwnerRequest, Some(handle), Some(*device), Some(id));
        }
        Ok(HandleDetails { handle: handle.clone(), proved_at, discoverable: *discoverable })
    }
}

//! Commands of handles: prove, bind again, give up, take back.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
};

use super::{Context, Operation, Plan, Touch, devices::own_account};
use crate::registry::{
    account::{Account, Claim},
    changes::{Cause, ChangeKind},
    device::{HandleDetails, HandleLoss},
    error::{BindError, ChangeError, HandleError},
    handle_state::TombstoneReason,
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
        check_room(context, plan, own, handle)?;
        if let Some(foreign) = foreign {
            take_from(context, plan, foreign, handle)?;
        }
        let account = plan.account(context, own)?.ok_or(BindError::DeviceUnknown)?;
        account.lost.retain(|lost| lost.handle != *handle);
        match account.claim_mut(handle) {
            Some(claim) => {
                claim.proved_at = context.now;
                claim.devices = claim.devices.with(*id);
            }
            None => account.claims.push(Claim {
                handle: handle.clone(),
                proved_at: context.now,
                discoverable: true,
                devices: InlineVec::One(*id),
            }),
        }
        if context.tombstone(handle).is_some() {
            plan.forget_end(handle);
        }
        let (kind, cause) = match foreign {
            Some(_) => (ChangeKind::HandleMoved, Cause::NewerProof),
            None => (ChangeKind::HandleBound, Cause::Proof),
        };
        plan.tell(kind, cause, Some(handle), Some(*id), Some(own));
        Ok(context.now)
    }
}

fn check_room(
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
        let own = account.id;
        let Some(claim) = account.claim_mut(handle) else {
            return Ok(None);
        };
        let proved_at = claim.proved_at;
        if !claim.devices.contains(id) {
            claim.devices = claim.devices.with(*id);
            let (kind, cause) = (ChangeKind::HandleBound, Cause::ProofHeld);
            plan.tell(kind, cause, Some(handle), Some(*id), Some(own));
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
) -> Result<&'p mut Account, HandleError> {
    let account = own_account(context, plan, device)?.ok_or(HandleError::DeviceUnknown)?;
    match account.claim(handle) {
        Some(claim) if claim.devices.contains(&device) => Ok(account),
        _ => Err(HandleError::NotBound),
    }
}

impl Operation for Unbind {
    type Done = ();
    type Error = HandleError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.0), Some(&self.1))
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), HandleError> {
        let Self(device, handle) = self;
        let account = backing(context, plan, *device, handle)?;
        let id = account.id;
        if account.release(handle, *device, TombstoneReason::Unbound, context.now) {
            plan.end(handle, TombstoneReason::Unbound);
        }
        let (kind, cause) = (ChangeKind::HandleUnbound, Cause::OwnerRequest);
        plan.tell(kind, cause, Some(handle), Some(*device), Some(id));
        Ok(())
    }
}

impl Operation for Deregister {
    type Done = ();
    type Error = ChangeError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(None, Some(&self.0))
    }

    /// Nothing to do, and nothing to tell, for a handle that nobody holds: that it was not held is the end wanted.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), ChangeError> {
        let holder = context.holder(&self.0);
        let account = match holder {
            Some(holder) => plan.account(context, holder)?,
            None => None,
        };
        if let Some(account) = account {
            account.lose(&self.0, HandleLoss::Deregistered, context.now);
            plan.end(&self.0, TombstoneReason::Deregistered);
            let (kind, cause) = (ChangeKind::HandleDeregistered, Cause::Deregistration);
            plan.tell(kind, cause, Some(&self.0), None, holder);
        }
        Ok(())
    }
}

impl Operation for SetDiscoverable {
    type Done = HandleDetails;
    type Error = HandleError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.device), Some(&self.handle))
    }

    fn plan(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
    ) -> Result<HandleDetails, HandleError> {
        let account = backing(context, plan, self.device, &self.handle)?;
        let claim = account.claim_mut(&self.handle).ok_or(HandleError::NotBound)?;
        claim.discoverable = self.discoverable;
        Ok(HandleDetails {
            handle: claim.handle.clone(),
            proved_at: claim.proved_at,
            discoverable: claim.discoverable,
        })
    }
}

//! Commands of handles: prove, bind again, give up, take back.

use crate::{clock::Timestamp, handle::Handle, ids::DeviceId, limits};

use super::{Context, Operation, Plan, Touch, touches};
use crate::registry::{
    changes::{Cause, ChangeKind},
    device::{Device, HandleDetails},
    entry::{Claim, EndedHow},
    error::{BindError, ChangeError, HandleError},
    few::Few,
    index::Index,
    store::Row,
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

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, Some(self.0), Some(&self.1))
    }

    /// The newest proof wins, at once: what another account held moves over and none of its devices keeps it.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Timestamp, BindError> {
        let Self(id, handle) = self;
        let device = context.index.device(*id).ok_or(BindError::DeviceUnknown)?;
        let held = context.index.claim(handle);
        let (own, foreign): (Option<Claim>, _) = match held {
            Some(claim) if claim.account == device.account => (Some(claim), false),
            other => (None, other.is_some()),
        };
        if own.is_none() {
            check_room(context, &device)?;
        }
        let (devices, discoverable) =
            own.map_or((Few::default(), true), |claim| (claim.devices, claim.discoverable));
        let claim = Claim {
            account: device.account,
            proved_at: context.now,
            discoverable,
            devices: devices.with(*id),
        };
        plan.hold(context, handle, claim);
        let (kind, cause) = if foreign {
            (ChangeKind::HandleMoved, Cause::NewerProof)
        } else {
            (ChangeKind::HandleBound, Cause::Proof)
        };
        plan.tell(kind, cause, Some(handle), Some(*id), Some(device.account));
        Ok(context.now)
    }
}

fn check_room(context: &Context<'_>, device: &Device) -> Result<(), BindError> {
    let account = context.index.account(device.account).unwrap_or_default();
    let handles_max = limits::HANDLES_PER_ACCOUNT_MAX;
    if account.handles.as_slice().len() >= handles_max {
        return Err(BindError::TooManyHandles { handles_max });
    }
    Ok(())
}

impl Operation for Rebind {
    type Done = Option<Timestamp>;
    type Error = BindError;

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, Some(self.0), Some(&self.1))
    }

    /// Only a proof that the account holds now counts: once the handle has ended it takes a new one.
    fn plan(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
    ) -> Result<Option<Timestamp>, BindError> {
        let Self(id, handle) = self;
        let device = context.index.device(*id).ok_or(BindError::DeviceUnknown)?;
        let Some(claim) =
            context.index.claim(handle).filter(|claim| claim.account == device.account)
        else {
            return Ok(None);
        };
        let proved_at = claim.proved_at;
        if !claim.devices.contains(id) {
            let devices = claim.devices.with(*id);
            plan.put(Row::Claim(handle.clone(), Claim { devices, ..claim }));
            plan.tell(
                ChangeKind::HandleBound,
                Cause::ProofHeld,
                Some(handle),
                Some(*id),
                Some(device.account),
            );
        }
        Ok(Some(proved_at))
    }
}

/// The claim on `handle` that `device` backs.
fn backed(context: &Context<'_>, device: DeviceId, handle: &Handle) -> Result<Claim, HandleError> {
    let account = context.index.device(device).ok_or(HandleError::DeviceUnknown)?.account;
    let claim = context.index.claim(handle).filter(|claim| claim.devices.contains(&device));
    let claim = claim.ok_or(HandleError::NotBound)?;
    debug_assert_eq!(claim.account, account, "only an account's own devices back its handles");
    Ok(claim)
}

impl Operation for Unbind {
    type Done = ();
    type Error = HandleError;

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, Some(self.0), Some(&self.1))
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), HandleError> {
        let Self(id, handle) = self;
        let claim = backed(context, *id, handle)?;
        let account = Some(claim.account);
        plan.release(context, handle, claim, *id, EndedHow::Unbound);
        plan.tell(ChangeKind::HandleUnbound, Cause::OwnerRequest, Some(handle), Some(*id), account);
        Ok(())
    }
}

impl Operation for Deregister {
    type Done = ();
    type Error = ChangeError;

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, None, Some(&self.0))
    }

    /// Nothing to do, and nothing to tell, for a handle that nobody holds: that it was not held is the end wanted.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), ChangeError> {
        if let Some(claim) = context.index.claim(&self.0) {
            plan.end(context, &self.0, EndedHow::Deregistered);
            let account = Some(claim.account);
            plan.tell(
                ChangeKind::HandleDeregistered,
                Cause::Deregistration,
                Some(&self.0),
                None,
                account,
            );
        }
        Ok(())
    }
}

impl Operation for SetDiscoverable {
    type Done = HandleDetails;
    type Error = HandleError;

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, Some(self.device), Some(&self.handle))
    }

    fn plan(
        &mut self,
        context: &Context<'_>,
        plan: &mut Plan,
    ) -> Result<HandleDetails, HandleError> {
        let claim = backed(context, self.device, &self.handle)?;
        let (proved_at, discoverable) = (claim.proved_at, self.discoverable);
        if claim.discoverable != discoverable {
            plan.put(Row::Claim(self.handle.clone(), Claim { discoverable, ..claim }));
        }
        Ok(HandleDetails { handle: self.handle.clone(), proved_at, discoverable })
    }
}

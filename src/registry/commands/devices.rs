//! Commands of devices: sign up, check in, sign out.

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::{Cause, ChangeKind, HandleLoss, Platform},
};

use super::{context::Context, operation::Operation, plan::Plan, touched::Touch};
use crate::registry::{
    account::{Account, Device},
    error::{ChangeError, DeviceError, SignUpError},
    token::DeviceToken,
};

/// A new device: by itself, or joining an account whose every handle it then backs.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// What kind it is.
    pub platform: Platform,
    /// What its owner calls it.
    pub name: Option<String>,
    /// The account it joins: known from a link code, never from the device.
    pub link: Option<AccountId>,
}

/// A device that signed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUp {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// Its token, kept nowhere else.
    pub token: DeviceToken,
    /// Until when it counts as live.
    pub lease_expires_at: Timestamp,
}

pub(in crate::registry) struct CheckIn(pub(in crate::registry) DeviceId);

pub(in crate::registry) struct SignOut(pub(in crate::registry) DeviceId);

impl Operation for SignUp {
    type Done = SignedUp;
    type Error = SignUpError;

    fn touches(&self, _: &Context<'_>) -> Vec<Touch> {
        self.link.map(Touch::Account).into_iter().collect()
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<SignedUp, SignUpError> {
        if self.name.as_ref().is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES_MAX) {
            return Err(SignUpError::NameTooLong);
        }
        let id = new_device(context);
        let token = DeviceToken::issue(id);
        let device = Device {
            id,
            token_hash: token.hash(),
            registered_at: context.now,
            last_check_in_at: context.now,
            name: self.name.take().map(String::into_boxed_str),
            platform: self.platform,
            lapse_recorded: false,
        };
        let lease_expires_at = device.lease_until(context.config().lease);
        let (account, cause, joined) = match self.link {
            Some(account) => (account, Cause::Linked, join(context, plan, account, device)?),
            None => (found(context, plan, device)?, Cause::SignUp, Vec::new()),
        };
        plan.record(ChangeKind::DeviceRegistered, cause, None, Some(id), Some(account));
        for handle in &joined {
            plan.record(ChangeKind::HandleBound, cause, Some(handle), Some(id), Some(account));
        }
        Ok(SignedUp { device: id, account, token, lease_expires_at })
    }
}

/// Adds the device to an account, of which it backs every handle.
fn join(
    context: &Context<'_>,
    plan: &mut Plan,
    id: AccountId,
    device: Device,
) -> Result<Vec<crate::handle::Handle>, SignUpError> {
    let devices_max = context.config().devices_per_account;
    let account = plan.account(context, id)?.ok_or(SignUpError::AccountGone)?;
    if account.devices.len() >= devices_max {
        return Err(SignUpError::TooManyDevices { devices_max });
    }
    for claim in &mut account.claims {
        claim.devices = claim.devices.with(device.id);
    }
    account.devices.push(device);
    Ok(account.claims.iter().map(|claim| claim.handle.clone()).collect())
}

/// A new account of this one device. Two new ids in one batch meet with probability 2^-64 a pair: only ids that are
/// there already are looked at.
fn found(context: &Context<'_>, plan: &mut Plan, device: Device) -> Result<AccountId, ChangeError> {
    let mut id = AccountId::random();
    while context.stored(id)?.is_some() {
        id = AccountId::random();
    }
    let mut account = Account::new(id);
    account.devices.push(device);
    plan.add(account);
    Ok(id)
}

fn new_device(context: &Context<'_>) -> DeviceId {
    std::iter::repeat_with(DeviceId::random)
        .find(|id| context.account_of(*id).is_none())
        .unwrap_or_else(DeviceId::random)
}

/// The account of `device`, to be changed.
pub(super) fn own_account<'p>(
    context: &Context<'_>,
    plan: &'p mut Plan,
    device: DeviceId,
) -> Result<Option<&'p mut Account>, ChangeError> {
    match context.account_of(device) {
        Some(account) => plan.account(context, account),
        None => Ok(None),
    }
}

impl Operation for CheckIn {
    type Done = Timestamp;
    type Error = DeviceError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.0), None)
    }

    /// Renews the device; its handles follow, because they are live as long as a device is. Proofs stay as they are.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Timestamp, DeviceError> {
        let lease = context.config().lease;
        let account = own_account(context, plan, self.0)?.ok_or(DeviceError::DeviceUnknown)?;
        let (id, backed) = (account.id, account.backed(self.0));
        let device = account.device_mut(self.0).ok_or(DeviceError::DeviceUnknown)?;
        let was_recorded = device.lapse_recorded;
        let had_lapsed = device.lease_until(lease) <= context.now;
        // Counted from now, even if the clock was set back: a lease from a wrong future must not stay.
        device.last_check_in_at = context.now;
        device.lapse_recorded = false;
        let lease_until = device.lease_until(lease);
        // The upkeep did not come in time to record the lapse: without its record the return makes no sense.
        if had_lapsed && !was_recorded {
            plan.record_device(ChangeKind::LeaseExpired, Cause::Silence, &backed, self.0, id);
        }
        if had_lapsed || was_recorded {
            plan.record_device(ChangeKind::DeviceRevived, Cause::CheckIn, &backed, self.0, id);
        }
        Ok(lease_until)
    }
}

impl Operation for SignOut {
    type Done = ();
    type Error = DeviceError;

    fn touches(&self, context: &Context<'_>) -> Vec<Touch> {
        context.touches(Some(self.0), None)
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), DeviceError> {
        let account = context.account_of(self.0).ok_or(DeviceError::DeviceUnknown)?;
        remove_device(context, plan, account, self.0, Cause::SignOut)?;
        Ok(())
    }
}

/// Takes a device out of its account with its bindings; claims that it alone backed end.
pub(super) fn remove_device(
    context: &Context<'_>,
    plan: &mut Plan,
    id: AccountId,
    device: DeviceId,
    cause: Cause,
) -> Result<(), ChangeError> {
    let Some(account) = plan.account(context, id)? else {
        return Ok(());
    };
    let backed = account.backed(device);
    let mut tombstone = Vec::new();
    for handle in &backed {
        if account.release(handle, device, HandleLoss::DeviceRemoved, context.now) {
            tombstone.push(handle);
        }
    }
    account.devices.retain(|one| one.id != device);
    for handle in tombstone {
        plan.end(handle, HandleLoss::DeviceRemoved);
    }
    for handle in &backed {
        plan.record(ChangeKind::HandleUnbound, cause, Some(handle), Some(device), Some(id));
    }
    plan.record(ChangeKind::DeviceRemoved, cause, None, Some(device), Some(id));
    Ok(())
}

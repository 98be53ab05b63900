//! Commands of devices: sign up, check in, sign out.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    limits,
    vocabulary::{Cause, ChangeKind, HandleLoss, Platform},
};

use crate::registry::{
    account::{Account, Device},
    directory::Registry,
    error::{ChangeError, DeviceError},
    job::Touches,
    plan::Plan,
    row_changes::Rows,
    token::DeviceToken,
};

use super::rows::decided_by;

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

impl Registry {
    /// Signs a device up. One that joins an account backs all of its handles.
    pub async fn sign_up(&self, request: SignUp) -> Result<SignedUp, DeviceError> {
        self.check_space()?;
        let touches = Touches { account: request.link, ..Touches::default() };
        self.submit(touches, move |plan| sign_up(plan, &request)).await
    }

    /// As [`sign_up`](Self::sign_up), if `inviter` is a device of the account to join, and if `decide` says so, in the same
    /// transaction. If it breaks, its row changes are made and nobody signs up. If the sign-up fails, its row changes are
    /// dropped, too.
    pub async fn sign_up_with<B: Send + 'static>(
        &self,
        request: SignUp,
        inviter: DeviceId,
        mut decide: impl FnMut(&mut Rows<'_>) -> ControlFlow<B> + Send + 'static,
    ) -> Result<ControlFlow<B, SignedUp>, DeviceError> {
        self.check_space()?;
        let touches = Touches { account: request.link, ..Touches::default() };
        let invited = move |plan: &mut Plan| {
            let account = request.link.map(|id| plan.account(id)).transpose()?.flatten();
            let is_in = |it: &mut Account| it.devices.iter().any(|one| one.id == inviter);
            match account.is_some_and(is_in) {
                true => sign_up(plan, &request),
                false => Err(DeviceError::AccountGone),
            }
        };
        let sign_up = move |plan: &mut Plan| decided_by(plan, &mut decide, &invited);
        self.submit(touches, sign_up).await
    }

    /// Renews a device's lease, and nothing else. Returns until when it now counts as live.
    pub async fn check_in(&self, device: DeviceId) -> Result<Timestamp, DeviceError> {
        let touches = Touches { device: Some(device), needs_no_record: true, ..Touches::default() };
        self.submit(touches, move |plan| check_in(plan, device)).await
    }

    /// Removes a device with its bindings.
    pub async fn sign_out(&self, device: DeviceId) -> Result<(), DeviceError> {
        let touches = Touches { device: Some(device), ..Touches::default() };
        let sign_out = move |plan: &mut Plan| {
            let account = plan.account_of(device).ok_or(DeviceError::DeviceUnknown)?;
            Ok(remove_device(plan, account, device, Cause::SignOut)?)
        };
        self.submit(touches, sign_out).await
    }
}

fn sign_up(plan: &mut Plan, request: &SignUp) -> Result<SignedUp, DeviceError> {
    if request.name.as_ref().is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES_MAX) {
        return Err(DeviceError::NameTooLong);
    }
    let id = new_device(plan);
    let token = DeviceToken::issue(id);
    let device = Device {
        id,
        token_hash: token.hash(),
        registered_at: plan.now,
        last_check_in_at: plan.now,
        name: request.name.as_deref().map(Into::into),
        platform: request.platform,
        lapse_recorded: false,
    };
    let lease_expires_at = plan.now.plus(plan.shared.config.lease);
    let (account, cause, joined) = match request.link {
        Some(account) => (account, Cause::Linked, join(plan, account, device)?),
        None => (found(plan, device)?, Cause::SignUp, Vec::new()),
    };
    plan.record(ChangeKind::DeviceRegistered, cause, None, Some(id), Some(account));
    for handle in &joined {
        plan.record(ChangeKind::HandleBound, cause, Some(handle), Some(id), Some(account));
    }
    Ok(SignedUp { device: id, account, token, lease_expires_at })
}

/// Adds the device to an account, of which it backs every handle.
fn join(plan: &mut Plan, id: AccountId, device: Device) -> Result<Vec<Handle>, DeviceError> {
    let devices_max = plan.shared.config.devices_per_account;
    let account = plan.account(id)?.ok_or(DeviceError::AccountGone)?;
    if account.devices.len() >= devices_max {
        return Err(DeviceError::TooManyDevices { devices_max });
    }
    for claim in &mut account.claims {
        claim.add(device.id);
    }
    account.devices.push(device);
    Ok(account.claims.iter().map(|claim| claim.handle.clone()).collect())
}

/// A new account of this one device. Checks only stored ids: two new ids in one batch are the same with probability
/// 2^-64 a pair.
fn found(plan: &mut Plan, device: Device) -> Result<AccountId, ChangeError> {
    let mut id = AccountId::random();
    while plan.stored(id)?.is_some() {
        id = AccountId::random();
    }
    let mut account = Account::new(id);
    account.devices.push(device);
    plan.add(account);
    Ok(id)
}

fn new_device(plan: &Plan) -> DeviceId {
    std::iter::repeat_with(DeviceId::random)
        .find(|id| plan.account_of(*id).is_none())
        .unwrap_or_else(DeviceId::random)
}

/// Renews the device; its handles follow, because they are live as long as a device is. Proofs stay as they are.
fn check_in(plan: &mut Plan, id: DeviceId) -> Result<Timestamp, DeviceError> {
    let (now, takes_records, shared) = (plan.now, plan.takes_records, Arc::clone(&plan.shared));
    let account = plan.own_account(id)?;
    let (own, backed) = (account.id, account.backed(id));
    let device = account.device_mut(id).ok_or(DeviceError::DeviceUnknown)?;
    let was_recorded = device.lapse_recorded;
    let had_lapsed = shared.live_until(device.last_check_in_at, now) <= now;
    if (had_lapsed || was_recorded) && !takes_records {
        return Err(ChangeError::LogUnwritable.into());
    }
    // Counted from now, even if the clock was set back: a lease from a wrong future must not stay.
    device.last_check_in_at = now;
    device.lapse_recorded = false;
    // The upkeep did not come in time to record the lapse: without its record the return makes no sense.
    if had_lapsed && !was_recorded {
        plan.record_device(ChangeKind::LeaseExpired, Cause::Silence, &backed, id, own);
    }
    if had_lapsed || was_recorded {
        plan.record_device(ChangeKind::DeviceRevived, Cause::CheckIn, &backed, id, own);
    }
    Ok(now.plus(shared.config.lease))
}

/// Takes a device out of its account with its bindings; claims that it alone backed end.
pub(super) fn remove_device(
    plan: &mut Plan,
    id: AccountId,
    device: DeviceId,
    cause: Cause,
) -> Result<(), ChangeError> {
    let now = plan.now;
    let Some(account) = plan.account(id)? else {
        return Ok(());
    };
    let backed = account.backed(device);
    let mut ended = backed.clone();
    ended.retain(|handle| account.release(handle, device, HandleLoss::DeviceRemoved, now));
    account.devices.retain(|one| one.id != device);
    for handle in &ended {
        plan.end(handle, HandleLoss::DeviceRemoved);
    }
    for handle in &backed {
        plan.record(ChangeKind::HandleUnbound, cause, Some(handle), Some(device), Some(id));
    }
    plan.record(ChangeKind::DeviceRemoved, cause, None, Some(device), Some(id));
    Ok(())
}

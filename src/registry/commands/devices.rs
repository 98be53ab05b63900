//! Commands of devices: sign up, check in, sign out.

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    limits,
};

use super::{Context, Operation, Plan, Touch, touches};
use crate::registry::{
    changes::{Cause, ChangeKind},
    device::{Device, Platform},
    entry::{Claim, EndedHow},
    error::{DeviceError, SignUpError},
    index::Index,
    store::{Key, Row},
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

    fn touches(&self, _: &Index) -> Vec<Touch> {
        self.link.map(Touch::Account).into_iter().collect()
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<SignedUp, SignUpError> {
        if self.name.as_ref().is_some_and(|name| name.len() > limits::DEVICE_NAME_BYTES_MAX) {
            return Err(SignUpError::NameTooLong);
        }
        let account = match self.link {
            Some(account) => joinable(context, account)?,
            None => new_account(context.index),
        };
        let device = new_device(context.index);
        let token = DeviceToken::issue(device);
        let lease_until = context.now.plus(context.config.lease);
        let row = Device {
            account,
            token_hash: token.hash(),
            registered_at: context.now,
            last_check_in_at: context.now,
            lease_until,
            name: self.name.take().map(String::into_boxed_str),
            platform: self.platform,
            lapse_recorded: false,
        };
        plan.put(Row::Device(device, row));
        let cause = if self.link.is_some() { Cause::Linked } else { Cause::SignUp };
        plan.tell(ChangeKind::DeviceRegistered, cause, None, Some(device), Some(account));
        let joined = context.index.account(account).unwrap_or_default();
        for handle in joined.handles.iter() {
            if let Some(claim) = context.index.claim(handle) {
                let devices = claim.devices.with(device);
                plan.put(Row::Claim(handle.clone(), Claim { devices, ..claim }));
                plan.tell(
                    ChangeKind::HandleBound,
                    cause,
                    Some(handle),
                    Some(device),
                    Some(account),
                );
            }
        }
        Ok(SignedUp { device, account, token, lease_expires_at: lease_until })
    }
}

fn joinable(context: &Context<'_>, account: AccountId) -> Result<AccountId, SignUpError> {
    let joined = context.index.account(account).ok_or(SignUpError::AccountGone)?;
    let devices_max = context.config.devices_per_account;
    if joined.devices.as_slice().len() >= devices_max {
        return Err(SignUpError::TooManyDevices { devices_max });
    }
    Ok(account)
}

/// Two new ids in one batch meet with probability 2^-64 a pair: only ids that are there already are looked at.
fn new_account(index: &Index) -> AccountId {
    std::iter::repeat_with(AccountId::random)
        .find(|id| !index.accounts.contains_key(id))
        .unwrap_or_else(AccountId::random)
}

fn new_device(index: &Index) -> DeviceId {
    std::iter::repeat_with(DeviceId::random)
        .find(|id| !index.devices.contains_key(id))
        .unwrap_or_else(DeviceId::random)
}

impl Operation for CheckIn {
    type Done = Timestamp;
    type Error = DeviceError;

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, Some(self.0), None)
    }

    /// Renews the device; its handles follow, because they are live as long as a device is. Proofs stay as they are.
    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<Timestamp, DeviceError> {
        let device = context.index.device(self.0).ok_or(DeviceError::DeviceUnknown)?;
        // Counted from now, even if the clock was set back: a lease from a wrong future must not stay.
        let lease_until = context.now.plus(context.config.lease);
        let last_check_in_at = context.now;
        let renewed = Device { last_check_in_at, lease_until, lapse_recorded: false, ..device };
        plan.put(Row::Device(self.0, renewed));
        Ok(lease_until)
    }
}

impl Operation for SignOut {
    type Done = ();
    type Error = DeviceError;

    fn touches(&self, index: &Index) -> Vec<Touch> {
        touches(index, Some(self.0), None)
    }

    fn plan(&mut self, context: &Context<'_>, plan: &mut Plan) -> Result<(), DeviceError> {
        let Some(device) = context.index.device(self.0) else {
            return Err(DeviceError::DeviceUnknown);
        };
        let (id, account) = (Some(self.0), Some(device.account));
        for (handle, claim) in context.index.backed(device.account, self.0) {
            plan.release(context, &handle, claim, self.0, EndedHow::DeviceRemoved);
            plan.tell(ChangeKind::HandleUnbound, Cause::SignOut, Some(&handle), id, account);
        }
        plan.remove(Key::Device(self.0));
        plan.tell(ChangeKind::DeviceRemoved, Cause::SignOut, None, id, account);
        Ok(())
    }
}

//! Builds one account from its rows.

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId},
    limits,
    registry::{TransferAccount, TransferClaim, TransferDevice},
    vocabulary::Platform,
};

use super::{bad_rows::Reason, identity::Identity, rows::Row};

/// Collects the rows of one account. Their number is small, so linear searches are fast enough.
pub(super) struct AccountBuilder<'a> {
    account: Identity,
    devices_max: usize,
    devices: Vec<Device<'a>>,
    claims: Vec<TransferClaim>,
}

struct Device<'a> {
    identity: Identity,
    fields: DeviceFields<'a>,
    /// Whether a row without a handle was added.
    has_bare_row: bool,
}

/// The columns that all rows of a device must agree on.
#[derive(PartialEq, Eq)]
struct DeviceFields<'a> {
    platform: Platform,
    last_check_in_at: Timestamp,
    registered_at: Option<Timestamp>,
    name: Option<&'a str>,
    token_hash: Option<[u8; 16]>,
}

impl<'a> AccountBuilder<'a> {
    pub(super) const fn new(account: Identity, devices_max: usize) -> Self {
        Self { account, devices_max, devices: Vec::new(), claims: Vec::new() }
    }

    /// Adds a row. A bad row changes nothing.
    pub(super) fn add(&mut self, row: &Row<'a>) -> Result<(), Reason> {
        if row.account != self.account {
            return Err(Reason::IdCollision);
        }
        let known = self.device(row)?;
        if row.handle.is_none() && known.is_some_and(|device| self.devices[device].has_bare_row) {
            return Err(Reason::Repeated);
        }
        // This is the last check, so that no earlier change must be undone.
        self.claim(row)?;
        let device = known.unwrap_or_else(|| {
            let fields = DeviceFields::of(row);
            self.devices.push(Device { identity: row.device, fields, has_bare_row: false });
            self.devices.len() - 1
        });
        self.devices[device].has_bare_row |= row.handle.is_none();
        Ok(())
    }

    /// The account, with devices and claims in order. None if no row was added.
    pub(super) fn finish(mut self) -> Option<TransferAccount> {
        self.devices.sort_unstable_by_key(|device| device.identity.bits);
        for claim in &mut self.claims {
            claim.devices.sort_unstable();
        }
        self.claims.sort_by_cached_key(|claim| claim.handle.canonical().into_owned());
        let devices: Vec<_> = self.devices.into_iter().map(Device::finish).collect();
        let account = AccountId::from_bits(self.account.bits);
        (!devices.is_empty()).then_some(TransferAccount { account, devices, claims: self.claims })
    }

    /// The index of the row's device, if an earlier row has it.
    fn device(&self, row: &Row<'a>) -> Result<Option<usize>, Reason> {
        let found = self.devices.iter().position(|device| device.identity.bits == row.device.bits);
        match found.map(|index| &self.devices[index]) {
            None if self.devices.len() >= self.devices_max => Err(Reason::TooManyDevices),
            Some(device) if device.identity != row.device => Err(Reason::IdCollision),
            Some(device) if device.fields != DeviceFields::of(row) => Err(Reason::DeviceDiffers),
            _ => Ok(found),
        }
    }

    fn claim(&mut self, row: &Row<'a>) -> Result<(), Reason> {
        let Some(handle) = &row.handle else { return Ok(()) };
        let device = DeviceId::from_bits(row.device.bits);
        let is_full = self.claims.len() >= limits::HANDLES_PER_ACCOUNT_MAX;
        match self.claims.iter_mut().find(|claim| claim.handle == *handle) {
            Some(claim) if claim.devices.contains(&device) => return Err(Reason::Repeated),
            Some(claim)
                if (claim.proved_at, claim.discoverable) != (row.proved_at, row.discoverable) =>
            {
                return Err(Reason::ClaimDiffers);
            }
            Some(claim) => claim.devices.push(device),
            None if is_full => return Err(Reason::TooManyHandles),
            None => self.claims.push(TransferClaim {
                handle: handle.clone(),
                proved_at: row.proved_at,
                discoverable: row.discoverable,
                devices: vec![device],
            }),
        }
        Ok(())
    }
}

impl<'a> DeviceFields<'a> {
    const fn of(row: &Row<'a>) -> Self {
        Self {
            platform: row.platform,
            last_check_in_at: row.last_check_in_at,
            registered_at: row.registered_at,
            name: row.name,
            token_hash: row.token_hash,
        }
    }
}

impl Device<'_> {
    fn finish(self) -> TransferDevice {
        TransferDevice {
            device: DeviceId::from_bits(self.identity.bits),
            platform: self.fields.platform,
            last_check_in_at: self.fields.last_check_in_at,
            registered_at: self.fields.registered_at,
            name: self.fields.name.map(str::to_owned),
            token_hash: self.fields.token_hash,
        }
    }
}

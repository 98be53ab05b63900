//! Builds one account from its rows.

use crate::{
    ids::{AccountId, DeviceId},
    limits,
    registry::{TransferAccount, TransferClaim, TransferDevice},
};

use super::{bad_rows::Reason, identity::Identity, rows::Row};

/// Collects the rows of one account. Their number is small, so linear searches are fast enough.
pub(super) struct AccountBuilder {
    account: Identity,
    devices_max: usize,
    devices: Vec<Device>,
    claims: Vec<TransferClaim>,
}

struct Device {
    identity: Identity,
    /// All rows of the device must agree on this.
    device: TransferDevice,
    /// Whether a row without a handle was added.
    has_bare_row: bool,
}

impl AccountBuilder {
    pub(super) const fn new(account: Identity, devices_max: usize) -> Self {
        Self { account, devices_max, devices: Vec::new(), claims: Vec::new() }
    }

    /// Adds a row. A bad row changes nothing.
    pub(super) fn add(&mut self, row: &Row<'_>) -> Result<(), Reason> {
        if row.account != self.account {
            return Err(Reason::IdCollision);
        }
        let device = transfer_device(row);
        let known = self.devices.iter().position(|it| it.identity.bits == row.device.bits);
        match known.map(|index| &self.devices[index]) {
            None if self.devices.len() >= self.devices_max => return Err(Reason::TooManyDevices),
            Some(known) if known.identity != row.device => return Err(Reason::IdCollision),
            Some(known) if known.device != device => return Err(Reason::DeviceDiffers),
            Some(known) if known.has_bare_row && row.handle.is_none() => {
                return Err(Reason::Repeated);
            }
            _ => {}
        }
        // This is the last check, so that no earlier change must be undone.
        self.claim(row)?;
        let index = known.unwrap_or_else(|| {
            self.devices.push(Device { identity: row.device, device, has_bare_row: false });
            self.devices.len() - 1
        });
        self.devices[index].has_bare_row |= row.handle.is_none();
        Ok(())
    }

    /// The account, with devices and claims in order. None if no row was added.
    pub(super) fn finish(mut self) -> Option<TransferAccount> {
        for claim in &mut self.claims {
            claim.devices.sort_unstable();
        }
        self.claims.sort_by_cached_key(|claim| claim.handle.canonical().into_owned());
        let mut devices: Vec<_> = self.devices.into_iter().map(|it| it.device).collect();
        devices.sort_unstable_by_key(|device| device.device);
        let account = AccountId::from_bits(self.account.bits);
        (!devices.is_empty()).then_some(TransferAccount { account, devices, claims: self.claims })
    }

    fn claim(&mut self, row: &Row<'_>) -> Result<(), Reason> {
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

fn transfer_device(row: &Row<'_>) -> TransferDevice {
    TransferDevice {
        device: DeviceId::from_bits(row.device.bits),
        platform: row.platform,
        last_check_in_at: row.last_check_in_at,
        registered_at: row.registered_at,
        name: row.name.map(str::to_owned),
        token_hash: row.token_hash,
    }
}

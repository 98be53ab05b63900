//! What an owner may read of a device.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    account::{Account, LostDetails},
    directory::Registry,
    error::{ChangeError, Loading},
    handle_state::is_forgotten,
    plan::unreadable,
};
use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::{AccountId, DeviceId},
    vocabulary::Platform,
};

/// A device as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceDetails {
    /// The device.
    pub device: DeviceId,
    /// Its account.
    pub account: AccountId,
    /// What kind it is.
    pub platform: Platform,
    /// What its owner calls it, if it has a name.
    #[schema(required, example = "Ann's iPhone")]
    pub name: Option<String>,
    /// When it signed up.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:41:07.123456Z")]
    pub registered_at: Timestamp,
    /// When it last checked in.
    #[schema(value_type = String, format = DateTime, example = "2026-11-24T20:13:42.654321Z")]
    pub last_check_in_at: Timestamp,
    /// Until then the device counts as live; a check-in moves it on.
    #[schema(value_type = String, format = DateTime, example = "2026-12-08T20:13:42.654321Z")]
    pub lease_expires_at: Timestamp,
    /// The handles that it backs, sorted by canonical form.
    pub handles: Vec<HandleDetails>,
    /// The handles that its account held within the last 30 days and holds no more, in the order of their loss,
    /// then by canonical form.
    #[serde(rename = "lost_handles")]
    pub lost: Vec<LostDetails>,
}

/// A handle as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HandleDetails {
    /// The handle.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// When its ownership was last proved.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T08:42:11.000000Z")]
    pub proved_at: Timestamp,
    /// Whether strangers may find it. If not, they get the answer of an unregistered handle.
    #[schema(example = true)]
    pub discoverable: bool,
}

impl Registry {
    /// Whether the account holds `handle` or lost it within the last 30 days. Reads the store, so not on a serving thread.
    pub fn held_recently(&self, account: AccountId, handle: &Handle) -> Result<bool, ChangeError> {
        let now = self.shared.clock.now();
        let lost_it = |lost: &LostDetails| lost.handle == *handle && !is_forgotten(lost.at, now);
        let stored = self.stored(account)?;
        Ok(stored.is_some_and(|account| {
            account.claim(handle).is_some() || account.lost.iter().any(lost_it)
        }))
    }

    /// When the account proved that handle which it holds for longest without a newer proof. None if it holds none. Reads
    /// the store, so not on a serving thread.
    pub fn proven_since(&self, account: AccountId) -> Result<Option<Timestamp>, ChangeError> {
        let stored = self.stored(account)?;
        Ok(stored.and_then(|account| account.claims.iter().map(|claim| claim.proved_at).min()))
    }

    /// Whether there is such an account. Reads the store, so not on a serving thread.
    pub fn has_account(&self, account: AccountId) -> Result<bool, ChangeError> {
        Ok(self.stored(account)?.is_some())
    }

    fn stored(&self, account: AccountId) -> Result<Option<Account>, ChangeError> {
        self.shared.loaded().map(drop).map_err(|Loading| ChangeError::Loading)?;
        self.reader.account(account).map_err(unreadable)
    }

    /// A device, with the handles it backs, or `None` if there is no such device. Reads the store, so not on a serving
    /// thread.
    pub fn device(&self, id: DeviceId) -> Result<Option<DeviceDetails>, ChangeError> {
        // The index first, then the store: the store may be newer, by a change that is not acknowledged yet.
        let loaded = self.shared.loaded().map_err(|Loading| ChangeError::Loading)?;
        let Some((packed, device)) = loaded.device(id) else {
            return Ok(None);
        };
        let (account, last_check_in_at) = (packed.account(), device.last_check_in_at());
        let place = packed.devices().position(|device| device.id() == id).unwrap_or_default();
        let backed = packed.handles().filter(|handle| handle.is_backed_by(place));
        let visible: Vec<_> =
            backed.filter_map(|handle| Some((handle.handle()?, handle.discoverable()))).collect();
        drop(loaded);
        let stored = self.reader.account(account).map_err(unreadable)?;
        let Some((stored, device)) = stored.as_ref().and_then(|one| Some((one, one.device(id)?)))
        else {
            return Ok(None);
        };
        let mut handles: Vec<_> = visible
            .into_iter()
            .filter_map(|(handle, discoverable)| {
                let proved_at = stored.claim(&handle)?.proved_at;
                Some(HandleDetails { handle, proved_at, discoverable })
            })
            .collect();
        handles.sort_by(|one, other| one.handle.canonical().cmp(&other.handle.canonical()));
        let now = self.shared.clock.now();
        let lost = stored.lost.iter().filter(|lost| !is_forgotten(lost.at, now));
        let mut lost: Vec<_> = lost.cloned().collect();
        lost.sort_by(|one, other| {
            (one.at, one.handle.canonical()).cmp(&(other.at, other.handle.canonical()))
        });
        Ok(Some(DeviceDetails {
            device: id,
            account,
            platform: device.platform,
            name: device.name.clone().map(Into::into),
            registered_at: device.registered_at,
            last_check_in_at,
            lease_expires_at: self.shared.live_until(last_check_in_at, now),
            handles,
            lost,
        }))
    }
}

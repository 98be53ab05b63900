//! What a command may read.

use std::collections::{HashMap, HashSet};

use super::touched::Touch;
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    registry::{
        account::Account,
        config::Config,
        error::ChangeError,
        handle_state::Tombstone,
        state::RegistryState,
        store::{Reader, StoreError},
        transfer::TransferAccount,
    },
};

/// What a command may look at. Only the writer changes anything, so what it reads here stays true until it commits.
pub(in crate::registry) struct Context<'a> {
    pub(in crate::registry) shared: &'a RegistryState,
    pub(in crate::registry) reader: &'a dyn Reader,
    /// Stored accounts as earlier plans of the same transaction change them.
    pub(in crate::registry) changed: &'a HashMap<AccountId, Account>,
    pub(in crate::registry) now: Timestamp,
}

impl Context<'_> {
    pub(in crate::registry) fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The account of a device.
    pub(in crate::registry) fn account_of(&self, device: DeviceId) -> Option<AccountId> {
        self.shared.read().account_of(device)
    }

    /// Who holds `handle`.
    pub(in crate::registry) fn holder(&self, handle: &Handle) -> Option<AccountId> {
        self.shared.read().holder(handle)
    }

    /// How `handle` ended, if nobody holds it, however long ago.
    pub(in crate::registry) fn tombstone(&self, handle: &Handle) -> Option<Tombstone> {
        self.shared.read().tombstone(handle)
    }

    /// An account as it is stored.
    pub(in crate::registry) fn stored(
        &self,
        id: AccountId,
    ) -> Result<Option<Account>, ChangeError> {
        match self.changed.get(&id) {
            Some(account) => Ok(Some(account.clone())),
            None => self.reader.account(id).map_err(unreadable),
        }
    }

    /// Which of the accounts on their way in are here already.
    pub(super) fn known(
        &self,
        incoming: &[TransferAccount],
    ) -> Result<HashSet<AccountId>, ChangeError> {
        let ids: Vec<_> = incoming.iter().map(|account| account.account).collect();
        self.reader.known(&ids).map_err(unreadable)
    }

    /// What a command of `device` about `handle` touches: both, and whoever holds the handle.
    pub(super) fn touches(&self, device: Option<DeviceId>, handle: Option<&Handle>) -> Vec<Touch> {
        let account = device.and_then(|id| self.account_of(id));
        let holder = handle.and_then(|handle| self.holder(handle));
        let mut touches: Vec<Touch> = account.map(Touch::Account).into_iter().collect();
        touches.extend(holder.filter(|holder| account != Some(*holder)).map(Touch::Account));
        touches.extend(handle.cloned().map(Touch::Handle));
        touches
    }
}

/// The store does not work.
pub(in crate::registry) fn unreadable(error: StoreError) -> ChangeError {
    tracing::error!(%error, "an account cannot be read");
    ChangeError::StoreUnwritable
}

//! [`Plan`]: what a batch of commands does.

use std::collections::HashMap;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
    vocabulary::{Cause, Change, ChangeKind, HandleLoss},
};

use super::context::Context;
use crate::registry::{
    account::Account, error::ChangeError, handle_state::Tombstone, store::Mutation,
};

/// What a batch of commands does: accounts as they shall be, ended handles, and what the log is told.
pub(in crate::registry) struct Plan {
    /// When it is decided.
    pub(in crate::registry) now: Timestamp,
    accounts: HashMap<AccountId, Working>,
    /// Accounts that are new: nobody else knows them, so nobody looks them up in the same batch.
    new: Vec<Account>,
    /// In which order the accounts were met, so that the same commands make the same steps.
    order: Vec<AccountId>,
    tombstones: Vec<Mutation>,
    pub(in crate::registry) changes: Vec<Change>,
}

/// An account on its way from what it was to what it shall be.
struct Working {
    was: Account,
    account: Account,
}

impl Plan {
    /// Nothing yet, decided at `now`.
    pub(in crate::registry) fn at(now: Timestamp) -> Self {
        Self {
            now,
            accounts: HashMap::new(),
            new: Vec::new(),
            order: Vec::new(),
            tombstones: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// The account, as far as the plan has changed it, to be changed on.
    pub(super) fn account(
        &mut self,
        context: &Context<'_>,
        id: AccountId,
    ) -> Result<Option<&mut Account>, ChangeError> {
        if !self.accounts.contains_key(&id) {
            let Some(account) = context.stored(id)? else {
                return Ok(None);
            };
            self.order.push(id);
            self.accounts.insert(id, Working { was: account.clone(), account });
        }
        Ok(self.accounts.get_mut(&id).map(|working| &mut working.account))
    }

    /// The accounts that were there before, as the plan has changed them.
    pub(in crate::registry) fn changed(&self) -> impl Iterator<Item = &Account> {
        let changed = self.accounts.values().filter(|working| working.was != working.account);
        changed.map(|working| &working.account)
    }

    /// An account that is new.
    pub(super) fn add(&mut self, account: Account) {
        self.new.push(account);
    }

    /// Nobody holds `handle` from now on. The caller takes it out of its account.
    pub(super) fn end(&mut self, handle: &Handle, how: HandleLoss) {
        self.tombstones
            .push(Mutation::PutTombstone(handle.clone(), Tombstone { how, at: self.now }));
    }

    /// It does not count any more how `handle` ended.
    pub(super) fn forget_end(&mut self, handle: &Handle) {
        self.tombstones.push(Mutation::RemoveTombstone(handle.clone()));
    }

    /// Adds a change for the log to record.
    pub(super) fn record(
        &mut self,
        kind: ChangeKind,
        cause: Cause,
        handle: Option<&Handle>,
        device: Option<DeviceId>,
        account: Option<AccountId>,
    ) {
        let handle = handle.cloned();
        let id = ChangeId::random();
        self.changes.push(Change { id, kind, handle, device, account, cause });
    }

    /// Records a change of a device: one for each handle that it backs, or one without a handle.
    pub(super) fn record_device(
        &mut self,
        kind: ChangeKind,
        cause: Cause,
        backed: &[Handle],
        device: DeviceId,
        account: AccountId,
    ) {
        let none = if backed.is_empty() { Some(None) } else { None };
        for handle in backed.iter().map(Some).chain(none) {
            self.record(kind, cause, handle, Some(device), Some(account));
        }
    }

    /// The steps for the store and for the index, and the records. An account that lost its last device is gone.
    pub(in crate::registry) fn into_steps(mut self) -> (Vec<Mutation>, Vec<Change>) {
        let mut steps = self.tombstones;
        for id in self.order {
            let Some(Working { was, account }) = self.accounts.remove(&id) else {
                continue;
            };
            let Some(known_by) = was.devices.first().map(|device| device.id) else {
                continue;
            };
            if account.devices.is_empty() {
                steps.push(Mutation::RemoveAccount { id, known_by });
            } else if account != was {
                steps.push(Mutation::PutAccount { account, known_by: Some(known_by) });
            }
        }
        let new = self.new.into_iter();
        steps.extend(new.map(|account| Mutation::PutAccount { account, known_by: None }));
        (steps, self.changes)
    }
}

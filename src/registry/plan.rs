//! [`Plan`]: what a batch of commands reads and does.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    vocabulary::{Cause, Change, ChangeKind, HandleLoss},
};

use super::{
    account::Account,
    error::{ChangeError, DeviceError},
    expiring::{RowKey, RowKind},
    flag::AccountFlag,
    handle_state::Tombstone,
    row_changes::{RowChanges, Rows},
    state::RegistryState,
    store::{Mutation, Reader, StoreError},
};

/// What a batch of commands does: accounts as they shall be, ended handles, and the changes for the log to record.
///
/// Only the writer changes the registry, so what a plan reads stays true until it is committed.
pub(super) struct Plan {
    pub(super) shared: Arc<RegistryState>,
    reader: Arc<dyn Reader>,
    /// When it is decided.
    pub(super) now: Timestamp,
    /// Whether the log takes records. If not, the plan must make none.
    pub(super) takes_records: bool,
    /// Stored accounts as earlier plans of the same transaction change them.
    pub(super) earlier: HashMap<AccountId, Account>,
    accounts: HashMap<AccountId, Working>,
    /// Accounts that are new: nobody else knows them, so nobody looks them up in the same batch.
    new: Vec<Account>,
    /// In which order the accounts were read, so that the same commands make the same steps.
    order: Vec<AccountId>,
    tombstones: Vec<Mutation>,
    /// Rows to be dropped, since they have ended.
    pub(super) ended_rows: Vec<RowKey>,
    rows: RowChanges,
    pub(super) changes: Vec<Change>,
}

/// An account on its way from what it was to what it shall be.
struct Working {
    was: Account,
    account: Account,
}

impl Plan {
    /// Nothing yet, decided now.
    pub(super) fn new(shared: Arc<RegistryState>, reader: Arc<dyn Reader>) -> Self {
        Self {
            now: shared.clock.now(),
            takes_records: true,
            shared,
            reader,
            earlier: HashMap::new(),
            accounts: HashMap::new(),
            new: Vec::new(),
            order: Vec::new(),
            tombstones: Vec::new(),
            ended_rows: Vec::new(),
            rows: RowChanges::default(),
            changes: Vec::new(),
        }
    }

    pub(super) fn account_of(&self, device: DeviceId) -> Option<AccountId> {
        self.shared.read().account_of(device)
    }

    pub(super) fn holder(&self, handle: &Handle) -> Option<AccountId> {
        self.shared.read().holder(handle)
    }

    /// How `handle` ended, if nobody holds it, however long ago.
    pub(super) fn tombstone(&self, handle: &Handle) -> Option<Tombstone> {
        self.shared.read().tombstone(handle)
    }

    /// An account as it is stored.
    pub(super) fn stored(&self, id: AccountId) -> Result<Option<Account>, ChangeError> {
        match self.earlier.get(&id) {
            Some(account) => Ok(Some(account.clone())),
            None => self.reader.account(id).map_err(unreadable),
        }
    }

    /// Which of these accounts are stored.
    pub(super) fn known(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, ChangeError> {
        self.reader.known(ids).map_err(unreadable)
    }

    /// The account, as far as the plan has changed it, to be changed on.
    pub(super) fn account(&mut self, id: AccountId) -> Result<Option<&mut Account>, ChangeError> {
        if !self.accounts.contains_key(&id) {
            let Some(account) = self.stored(id)? else {
                return Ok(None);
            };
            self.order.push(id);
            self.accounts.insert(id, Working { was: account.clone(), account });
        }
        Ok(self.accounts.get_mut(&id).map(|working| &mut working.account))
    }

    /// The account of `device`, to be changed.
    pub(super) fn own_account(&mut self, device: DeviceId) -> Result<&mut Account, DeviceError> {
        let id = self.account_of(device).ok_or(DeviceError::DeviceUnknown)?;
        self.account(id)?.ok_or(DeviceError::DeviceUnknown)
    }

    /// Adds an account that is new.
    pub(super) fn add(&mut self, account: Account) {
        self.new.push(account);
    }

    /// Nobody holds `handle` from now on. The caller takes it out of its account.
    pub(super) fn end(&mut self, handle: &Handle, how: HandleLoss) {
        let tombstone = Tombstone { how, at: self.now };
        self.tombstones.push(Mutation::PutTombstone(handle.clone(), tombstone));
    }

    /// Removes the tombstone of `handle`, if there is one.
    pub(super) fn forget_end(&mut self, handle: &Handle) {
        if self.tombstone(handle).is_some() {
            self.tombstones.push(Mutation::RemoveTombstone(handle.clone()));
        }
    }

    /// What `plan` says of the expiring rows, and what it changes: nothing, until [`Plan::change_rows`] is told so.
    pub(super) fn draft_rows<R>(&self, plan: impl FnOnce(&mut Rows<'_>) -> R) -> (R, RowChanges) {
        let visible = self.shared.rows();
        let mut rows = Rows::new(&visible, &self.rows, self.now);
        let answer = plan(&mut rows);
        (answer, rows.into_changes())
    }

    pub(super) fn change_rows(&mut self, changes: RowChanges) {
        self.rows.add(changes);
    }

    /// Sets or clears the flag of an account. False if that changes nothing: a flag that is there stays as it is.
    pub(super) fn set_flag(&mut self, account: AccountId, flag: Option<AccountFlag>) -> bool {
        let key = AccountFlag::key(account);
        let (changes, drafted) = self.draft_rows(|rows| {
            let changes = rows.get(RowKind::Flag, &key).is_some() != flag.is_some();
            if changes {
                rows.write(RowKind::Flag, &key, flag.map(AccountFlag::row));
            }
            changes
        });
        self.change_rows(drafted);
        changes
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
        let (id, handle) = (self.shared.next_change_id(self.now), handle.cloned());
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
    pub(super) fn into_steps(mut self) -> (Vec<Mutation>, Vec<Change>) {
        let mut steps = std::mem::take(&mut self.tombstones);
        for id in std::mem::take(&mut self.order) {
            let Some(Working { was, account }) = self.accounts.remove(&id) else {
                continue;
            };
            if account.devices.is_empty() {
                self.set_flag(id, None);
            }
            steps.extend(Mutation::of(&was, account));
        }
        let new = self.new.into_iter();
        steps.extend(new.map(|account| Mutation::PutAccount { account, known_by: None }));
        // First what has ended: the batch may put it anew.
        steps.extend(self.ended_rows.drain(..).map(Mutation::RemoveRow));
        let visible = self.shared.rows();
        for (key, row) in self.rows.into_items() {
            let before = visible.get(key.kind, &key.key);
            match row {
                Some(row) if before != Some(&row) => steps.push(Mutation::PutRow(key, row)),
                None if before.is_some_and(|before| !before.has_ended(self.now)) => {
                    steps.push(Mutation::RemoveRow(key));
                }
                // Changed and changed back, or removed after its end.
                _ => {}
            }
        }
        drop(visible);
        (steps, self.changes)
    }
}

/// What a caller learns if the store cannot be read. The log says why.
pub(super) fn unreadable(error: StoreError) -> ChangeError {
    tracing::error!(%error, "an account cannot be read");
    ChangeError::StoreUnwritable
}

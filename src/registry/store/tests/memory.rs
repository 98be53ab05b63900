//! A store in memory for tests: survives the registry as a file does, and fails like a disk.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use crate::{clock::Timestamp, handle::Handle, ids::AccountId};

use crate::registry::{
    account::Account,
    expiring::{ExpiringRow, RowKey},
    handle_state::Tombstone,
    packed::Packed,
    store::{
        Applied, CopyFor, Identity, Mutation, Reader, Row, Store, StoreError, Unrecorded, rows,
    },
};

/// What is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Disk {
    pub(in crate::registry) accounts: BTreeMap<AccountId, Account>,
    pub(in crate::registry) ended: BTreeMap<Handle, Tombstone>,
    pub(in crate::registry) unrecorded: BTreeMap<u64, Unrecorded>,
    pub(in crate::registry) expiring: BTreeMap<RowKey, ExpiringRow>,
    pub(in crate::registry) batch: u64,
    /// None if it follows no shared log.
    pub(in crate::registry) applied: Option<Applied>,
    /// The next commit that puts something fails; the flag says whether it is durable all the same.
    pub(in crate::registry) fail_next: Option<bool>,
    /// The next commit that only tidies up fails, and is not durable.
    pub(in crate::registry) fail_tidying: bool,
    /// How many attempts to open it anew fail.
    pub(in crate::registry) reopens_failing: u32,
    /// How many commits put something; others only tidy up, whenever the writer has time.
    pub(in crate::registry) commits: usize,
}

/// A store on a [`Disk`] that others can look at.
#[derive(Clone, Default)]
pub(in crate::registry) struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    has_failed: bool,
}

impl MemoryStore {
    pub(in crate::registry) fn on(disk: Disk) -> Self {
        Self { disk: Arc::new(Mutex::new(disk)), has_failed: false }
    }

    pub(in crate::registry) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    /// Whether both hold the same, but for what concerns one store only.
    pub(in crate::registry) fn agrees_with(&self, other: &Self) -> bool {
        // By way of their bytes: the order of a claim's devices means nothing.
        let accounts =
            |disk: &Self| -> Vec<_> { disk.accounts.values().map(rows::write_account).collect() };
        let is_rest_same = self.ended == other.ended && self.expiring == other.expiring;
        is_rest_same && accounts(self) == accounts(other)
    }

    fn apply(&mut self, mutation: Mutation) {
        match mutation {
            Mutation::PutAccount { account, .. } => drop(self.accounts.insert(account.id, account)),
            Mutation::RemoveAccount { id, .. } => drop(self.accounts.remove(&id)),
            Mutation::CheckIn { account, device, at } => {
                let account = self.accounts.get_mut(&account).expect("it is stored");
                let device = account.device_mut(device).expect("it is in the account");
                (device.last_check_in_at, device.lapse_recorded) = (at, false);
            }
            Mutation::PutTombstone(key, ended) => drop(self.ended.insert(key, ended)),
            Mutation::RemoveTombstone(key) => drop(self.ended.remove(&key)),
            Mutation::PutUnrecorded(row) => drop(self.unrecorded.insert(row.place, row)),
            Mutation::RemoveUnrecorded(place) => drop(self.unrecorded.remove(&place)),
            Mutation::PutRow(key, row) => drop(self.expiring.insert(key, row)),
            Mutation::RemoveRow(key) => drop(self.expiring.remove(&key)),
            Mutation::Applied(applied) => self.applied = Some(applied),
        }
    }
}

fn disk_full() -> StoreError {
    StoreError::Io(io::Error::from(io::ErrorKind::StorageFull))
}

impl Store for MemoryStore {
    fn identity(&self) -> Identity {
        let founded_at = Timestamp::from_secs(1_800_000_000);
        Identity { subject_key: Zeroizing::new([7; 32]), founded_at }
    }

    fn last_batch(&self) -> u64 {
        self.disk().batch
    }

    fn applied(&self) -> Applied {
        self.disk().applied.unwrap_or(Applied::NONE)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }

    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError> {
        let disk = self.disk().clone();
        disk.ended.into_iter().for_each(|(key, row)| visit(Row::Tombstone(key, row)));
        disk.unrecorded.into_values().for_each(|row| visit(Row::Unrecorded(row)));
        disk.expiring.into_iter().for_each(|(key, row)| visit(Row::Expiring(key, row)));
        Ok(())
    }

    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError> {
        assert!(!self.has_failed, "a failed store is opened anew before it is used");
        let mut disk = self.disk();
        let is_put = |step: &Mutation| !matches!(step, Mutation::RemoveUnrecorded(_));
        let has_puts = mutations.iter().any(is_put);
        let fails = match has_puts {
            true => disk.fail_next.take(),
            false => std::mem::take(&mut disk.fail_tidying).then_some(false),
        };
        if fails != Some(false) {
            mutations.iter().cloned().for_each(|mutation| disk.apply(mutation));
            disk.batch = batch;
            disk.commits += usize::from(has_puts);
        }
        drop(disk);
        self.has_failed = fails.is_some();
        if self.has_failed { Err(disk_full()) } else { Ok(()) }
    }

    fn reopen(&mut self) -> Result<u64, StoreError> {
        let mut disk = self.disk();
        if disk.reopens_failing > 0 {
            disk.reopens_failing -= 1;
            return Err(disk_full());
        }
        let batch = disk.batch;
        drop(disk);
        self.has_failed = false;
        Ok(batch)
    }
}

impl Reader for MemoryStore {
    fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let account = self.disk().accounts.get(&id).cloned();
        // By way of its bytes, as from a file.
        account
            .map(|account| rows::read_account(id.bits(), &rows::write_account(&account)))
            .transpose()
    }

    fn known(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        let disk = self.disk();
        Ok(ids.iter().copied().filter(|id| disk.accounts.contains_key(id)).collect())
    }

    fn packed(
        &self,
        part: usize,
        parts: usize,
        visit: &mut dyn FnMut(Packed<'_>),
    ) -> Result<(), StoreError> {
        let accounts = self.disk().accounts.clone();
        for account in accounts.values().skip(part).step_by(parts) {
            visit(rows::read_packed(account.id.bits(), &rows::write_account(account))?);
        }
        Ok(())
    }

    fn accounts(&self, visit: &mut dyn FnMut(Account) -> bool) -> Result<(), StoreError> {
        let accounts = self.disk().accounts.clone();
        let _ = accounts.into_values().all(visit);
        Ok(())
    }

    fn copy(&self, _: &Path, _: CopyFor) -> Result<(), StoreError> {
        unreachable!("only files are copied")
    }
}

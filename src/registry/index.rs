//! The index: every handle, device and account in memory.
//!
//! A phone number's digits are its key, an e-mail address is keyed by its text, so two handles can never be taken for
//! one another. The hash is seeded at start, since callers choose the keys. Maps are cut into many shards so that a
//! scan never keeps a change waiting for long.
//!
//! Only [`Index::apply`] changes anything, and only the writer's thread (or the load) calls it. What can be derived is
//! derived here and stored nowhere: an account's devices and handles, and until when a handle is live.

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::{
    clock::Timestamp,
    handle::{EmailAddress, Handle, PhoneKey},
    ids::{AccountId, DeviceId},
};

use super::{
    device::Device,
    entry::{Claim, Ended, Entry, Probe},
    few::Few,
    store::{Key, Mutation, Row},
};

const SHARDS: usize = 256;

type Map<K, V> = DashMap<K, V, RandomState>;

/// An account is what its devices and handles say it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) devices: Few<DeviceId>,
    pub(super) handles: Few<Handle>,
}

pub(super) struct Index {
    phones: Map<PhoneKey, Entry>,
    emails: Map<EmailAddress, Entry>,
    pub(super) devices: Map<DeviceId, Device>,
    pub(super) accounts: Map<AccountId, Account>,
}

fn map<K: std::hash::Hash + Eq, V>() -> Map<K, V> {
    DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS)
}

impl Index {
    pub(super) fn new() -> Self {
        Self { phones: map(), emails: map(), devices: map(), accounts: map() }
    }

    pub(super) fn probe(&self, handle: &Handle, now: Timestamp) -> Probe {
        self.entry(handle, |entry| entry.probe(now)).unwrap_or(Probe::Unknown)
    }

    pub(super) fn probe_phone(&self, phone: PhoneKey, now: Timestamp) -> Probe {
        self.phones.get(&phone).map_or(Probe::Unknown, |entry| entry.probe(now))
    }

    fn entry<R>(&self, handle: &Handle, read: impl FnOnce(&Entry) -> R) -> Option<R> {
        match handle {
            Handle::Phone(key) => self.phones.get(key).map(|entry| read(&entry)),
            Handle::Email(address) => self.emails.get(address).map(|entry| read(&entry)),
        }
    }

    /// Who holds `handle`.
    pub(super) fn claim(&self, handle: &Handle) -> Option<Claim> {
        self.entry(handle, |entry| match entry {
            Entry::Claimed { claim, .. } => Some(claim.clone()),
            Entry::Ended(_) => None,
        })?
    }

    /// How `handle` ended, if nobody holds it, however long ago.
    pub(super) fn ended(&self, handle: &Handle) -> Option<Ended> {
        self.entry(handle, |entry| match entry {
            Entry::Claimed { .. } => None,
            Entry::Ended(ended) => Some(*ended),
        })?
    }

    pub(super) fn device(&self, id: DeviceId) -> Option<Device> {
        self.devices.get(&id).map(|device| device.clone())
    }

    pub(super) fn account(&self, id: AccountId) -> Option<Account> {
        self.accounts.get(&id).map(|account| account.clone())
    }

    /// The handles of `account` that `device` backs, with their claims.
    pub(super) fn backed(&self, account: AccountId, device: DeviceId) -> Vec<(Handle, Claim)> {
        let account = self.account(account).unwrap_or_default();
        let claims =
            account.handles.iter().filter_map(|handle| Some((handle.clone(), self.claim(handle)?)));
        claims.filter(|(_, claim)| claim.devices.contains(&device)).collect()
    }

    /// Shows every handle's entry, in no order and at no one instant.
    pub(super) fn for_each_handle(&self, mut visit: impl FnMut(&dyn Fn() -> Handle, &Entry)) {
        for entry in &self.phones {
            visit(&|| Handle::Phone(*entry.key()), entry.value());
        }
        for entry in &self.emails {
            visit(&|| Handle::Email(entry.key().clone()), entry.value());
        }
    }

    /// Whether a row read from the store fits those before it: a claim names devices of its account, at least one.
    pub(super) fn has_room_for(&self, row: &Row) -> bool {
        let Row::Claim(_, claim) = row else {
            return true;
        };
        let is_own =
            |id| self.devices.get(id).is_some_and(|device| device.account == claim.account);
        !claim.devices.is_empty() && claim.devices.iter().all(is_own)
    }

    /// Makes one step of a change visible. Steps come in an order in which a claim names only devices that are there.
    pub(super) fn apply(&self, mutation: Mutation) {
        match mutation {
            Mutation::Put(Row::Device(id, device)) => self.put_device(id, device),
            Mutation::Put(Row::Claim(handle, claim)) => self.put_claim(handle, claim),
            Mutation::Put(Row::Ended(handle, ended)) => {
                self.put_entry(&handle, Entry::Ended(ended));
            }
            Mutation::Remove(Key::Device(id)) => self.remove_device(id),
            Mutation::Remove(Key::Claim(handle) | Key::Ended(handle)) => self.remove_entry(&handle),
            // Known to the store only.
            Mutation::Put(Row::Unrecorded(..)) | Mutation::Remove(Key::Unrecorded(_)) => {}
        }
    }

    fn put_device(&self, id: DeviceId, device: Device) {
        let account = device.account;
        if self.devices.insert(id, device).is_none() {
            // A new device backs nothing yet.
            self.change_account(account, |account| account.devices = account.devices.with(id));
            return;
        }
        for (handle, claim) in self.backed(account, id) {
            self.put_claim(handle, claim);
        }
    }

    fn remove_device(&self, id: DeviceId) {
        if let Some((_, device)) = self.devices.remove(&id) {
            debug_assert!(self.backed(device.account, id).is_empty(), "its claims end first");
            self.change_account(device.account, |account| {
                account.devices = account.devices.without(&id)
            });
        }
    }

    fn put_claim(&self, handle: Handle, claim: Claim) {
        let account = claim.account;
        let leases = claim.devices.iter().filter_map(|id| Some(self.devices.get(id)?.lease_until));
        let live_until = leases.max().unwrap_or_default();
        self.put_entry(&handle, Entry::Claimed { claim, live_until });
        self.change_account(account, |account| account.handles = account.handles.with(handle));
    }

    fn put_entry(&self, handle: &Handle, entry: Entry) {
        let account = match &entry {
            Entry::Claimed { claim, .. } => Some(claim.account),
            Entry::Ended(_) => None,
        };
        let before = match handle {
            Handle::Phone(key) => self.phones.insert(*key, entry),
            Handle::Email(address) => self.emails.insert(address.clone(), entry),
        };
        self.forget_holder(handle, before, account);
    }

    fn remove_entry(&self, handle: &Handle) {
        let before = match handle {
            Handle::Phone(key) => self.phones.remove(key).map(|(_, entry)| entry),
            Handle::Email(address) => self.emails.remove(address).map(|(_, entry)| entry),
        };
        self.forget_holder(handle, before, None);
    }

    /// Takes `handle` out of the account that held it `before`, unless that is the account that holds it now.
    fn forget_holder(&self, handle: &Handle, before: Option<Entry>, now: Option<AccountId>) {
        if let Some(Entry::Claimed { claim, .. }) = before
            && now != Some(claim.account)
        {
            self.change_account(claim.account, |account| {
                account.handles = account.handles.without(handle)
            });
        }
    }

    /// An account is there as long as it has a device or a handle.
    fn change_account(&self, id: AccountId, change: impl FnOnce(&mut Account)) {
        let mut account = self.accounts.entry(id).or_default();
        change(&mut account);
        let is_gone = account.devices.is_empty() && account.handles.is_empty();
        // Its shard is locked by the reference.
        drop(account);
        if is_gone {
            self.accounts.remove(&id);
        }
    }
}

//! The index: every account, found by its handles and its devices.
//!
//! Accounts lie packed in an arena; two tables find them. A handle is compared as it is, digits or text, so two handles
//! can never be taken for one another. The hash is seeded at start, since callers choose the keys.
//!
//! Only [`Index::apply`] changes anything, and only the writer's thread calls it, with the gate closed.

use std::{collections::HashMap, hash::BuildHasher as _, time::Duration};

use foldhash::quality::RandomState;

use crate::{
    clock::Timestamp,
    handle::{Handle, PhoneKey},
    ids::{AccountId, DeviceId},
};

use super::{
    account::Account,
    arena::{Arena, Slot},
    handle_state::{HandleState, Tombstone},
    packed::{Name, Packed, PackedDevice, pack},
    store::{Mutation, StoreError},
    table::Table,
};

/// A step that names a device of a stored account, while the index has none: the two do not agree any more, and the
/// server must stop rather than answer.
const KNOWN: &str = "the index has every account that the store has";

pub(super) struct Index {
    lease: Duration,
    arena: Arena,
    handles: Table,
    devices: Table,
    tombstones: HashMap<Handle, Tombstone, RandomState>,
    hasher: RandomState,
}

/// Memory of the index, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexBytes {
    /// Accounts: devices with their tokens, handles.
    pub accounts: u64,
    /// Room in the pages of accounts that is not used.
    pub spare: u64,
    /// The table that finds an account by a handle.
    pub handle_table: u64,
    /// The table that finds an account by a device.
    pub device_table: u64,
    /// Tombstones: handles that no account holds any more, with their loss.
    pub tombstones: u64,
}

impl IndexBytes {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.accounts + self.spare + self.handle_table + self.device_table + self.tombstones
    }
}

impl Index {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease,
            arena: Arena::default(),
            handles: Table::new(),
            devices: Table::new(),
            tombstones: HashMap::with_hasher(RandomState::default()),
            hasher: RandomState::default(),
        }
    }

    /// An index of the accounts in `arena`, built by `threads` threads.
    ///
    /// # Errors
    /// If two accounts have the same handle or the same device.
    pub(super) fn of(lease: Duration, arena: Arena, threads: usize) -> Result<Self, StoreError> {
        let mut index = Self { arena, ..Self::new(lease) };
        let (mut devices, mut handles) = (0, 0);
        for (_, packed) in index.arena.iter() {
            devices += packed.devices().len() as u64;
            handles += packed.handles_len() as u64;
        }
        let (arena, hasher) = (&index.arena, &index.hasher);
        let damaged = |what| StoreError::Damaged(format!("two accounts have the same {what}"));
        index.devices.fill(
            threads,
            devices,
            &|place, visit| visit_device_hashes(arena, hasher, place, visit),
            |filling| {
                arena
                    .iter()
                    .all(|(place, packed)| {
                        packed.devices().all(|device| {
                            let (id, hash) = (device.id(), hasher.hash_one(device.id()));
                            filling.take(hash, place, |other| arena.get(other).device(id).is_some())
                        })
                    })
                    .then_some(())
                    .ok_or_else(|| damaged("device"))
            },
        )?;
        index.handles.fill(
            threads,
            handles,
            &|place, visit| visit_handle_hashes(arena, hasher, place, visit),
            |filling| {
                arena
                    .iter()
                    .all(|(place, packed)| {
                        packed.handles().all(|handle| {
                            let (name, hash) = (handle.name(), hasher.hash_one(handle.name()));
                            filling.take(hash, place, |other| holds(arena.get(other), name))
                        })
                    })
                    .then_some(())
                    .ok_or_else(|| damaged("handle"))
            },
        )?;
        Ok(index)
    }

    pub(super) fn probe(&self, handle: &Handle, now: Timestamp) -> HandleState {
        let held = self.probe_name(Name::of(handle));
        held.unwrap_or_else(|| {
            self.tombstones
                .get(handle)
                .map_or(HandleState::Unknown, |tombstone| tombstone.probe(now))
        })
    }

    pub(super) fn probe_phone(&self, phone: PhoneKey, now: Timestamp) -> HandleState {
        let held = self.probe_name(Name::Phone(phone.bits()));
        let tombstone =
            || self.tombstones.get(&Handle::Phone(phone)).map(|tombstone| tombstone.probe(now));
        held.or_else(tombstone).unwrap_or(HandleState::Unknown)
    }

    fn probe_name(&self, name: Name<'_>) -> Option<HandleState> {
        self.arena.get(self.place_of_handle(name)?).probe(name, self.lease)
    }

    fn place_of_handle(&self, name: Name<'_>) -> Option<Slot> {
        self.handles.find(self.hasher.hash_one(name), |place| holds(self.arena.get(place), name))
    }

    fn place_of_device(&self, id: DeviceId) -> Option<Slot> {
        let has_key = |place| self.arena.get(place).device(id).is_some();
        self.devices.find(self.hasher.hash_one(id), has_key)
    }

    /// The account that holds `handle`.
    pub(super) fn holder(&self, handle: &Handle) -> Option<AccountId> {
        Some(self.arena.get(self.place_of_handle(Name::of(handle))?).account())
    }

    /// The tombstone of `handle`, however old; none if an account holds it.
    pub(super) fn tombstone(&self, handle: &Handle) -> Option<Tombstone> {
        self.tombstones.get(handle).copied()
    }

    /// The account of a device, and the device.
    pub(super) fn device(&self, id: DeviceId) -> Option<(Packed<'_>, PackedDevice<'_>)> {
        let packed = self.arena.get(self.place_of_device(id)?);
        Some((packed, packed.device(id)?))
    }

    /// The account of a device.
    pub(super) fn account_of(&self, device: DeviceId) -> Option<AccountId> {
        self.device(device).map(|(packed, _)| packed.account())
    }

    /// Pages of accounts. A scan reads them one at a time, and changes go on in between.
    pub(super) fn pages(&self) -> usize {
        self.arena.pages()
    }

    /// The accounts of one page.
    pub(super) fn page(&self, number: usize) -> impl Iterator<Item = Packed<'_>> {
        self.arena.page(number).map(|(_, packed)| packed)
    }

    /// All tombstones, also those that have expired.
    pub(super) fn tombstones(&self) -> impl Iterator<Item = (&Handle, &Tombstone)> {
        self.tombstones.iter()
    }

    /// Makes one step of a change visible.
    pub(super) fn apply(&mut self, mutation: Mutation) {
        match mutation {
            Mutation::PutAccount { account, known_by } => self.put_account(&account, known_by),
            Mutation::RemoveAccount { known_by, .. } => self.remove_account(known_by),
            Mutation::PutTombstone(handle, tombstone) => {
                self.tombstones.insert(handle, tombstone);
            }
            Mutation::RemoveTombstone(handle) => drop(self.tombstones.remove(&handle)),
            // Known to the store only.
            Mutation::PutUnrecorded(..) | Mutation::RemoveUnrecorded(_) => {}
        }
    }

    fn put_account(&mut self, account: &Account, known_by: Option<DeviceId>) {
        let bytes = pack(account);
        let packed = Packed::of(&bytes);
        let Some(known_by) = known_by else {
            let place = self.arena.insert(packed);
            return self.enter(place);
        };
        let before = self.place_of_device(known_by).expect(KNOWN);
        let keys = self.keys(before);
        if self.arena.replace(before, packed) {
            if self.keys(before) != keys {
                self.devices.remove(before, &keys.0);
                self.handles.remove(before, &keys.1);
                self.enter(before);
            }
            return;
        }
        self.devices.remove(before, &keys.0);
        self.handles.remove(before, &keys.1);
        self.arena.remove(before);
        let place = self.arena.insert(packed);
        self.enter(place);
    }

    fn remove_account(&mut self, known_by: DeviceId) {
        let place = self.place_of_device(known_by).expect(KNOWN);
        let (devices, handles) = self.keys(place);
        self.devices.remove(place, &devices);
        self.handles.remove(place, &handles);
        self.arena.remove(place);
    }

    fn enter(&mut self, place: Slot) {
        let (devices, handles) = self.keys(place);
        let (arena, hasher) = (&self.arena, &self.hasher);
        self.devices.insert(place, &devices, &|place, visit| {
            visit_device_hashes(arena, hasher, place, visit)
        });
        self.handles.insert(place, &handles, &|place, visit| {
            visit_handle_hashes(arena, hasher, place, visit)
        });
    }

    /// The hashes of a record's devices and handles.
    fn keys(&self, place: Slot) -> (Vec<u64>, Vec<u64>) {
        let (mut devices, mut handles) = (Vec::new(), Vec::new());
        visit_device_hashes(&self.arena, &self.hasher, place, &mut |hash| devices.push(hash));
        visit_handle_hashes(&self.arena, &self.hasher, place, &mut |hash| handles.push(hash));
        (devices, handles)
    }

    /// Memory of the index.
    pub(super) fn bytes(&self) -> IndexBytes {
        let (accounts, pages) = self.arena.bytes();
        let tombstones = self.tombstones.capacity() * size_of::<(Handle, Tombstone)>();
        IndexBytes {
            accounts,
            spare: pages - accounts,
            handle_table: self.handles.bytes(),
            device_table: self.devices.bytes(),
            tombstones: tombstones as u64,
        }
    }
}

fn holds(packed: Packed<'_>, name: Name<'_>) -> bool {
    packed.handles().any(|handle| handle.name() == name)
}

fn visit_device_hashes(
    arena: &Arena,
    hasher: &RandomState,
    place: Slot,
    visit: &mut dyn FnMut(u64),
) {
    arena.get(place).devices().for_each(|device| visit(hasher.hash_one(device.id())));
}

fn visit_handle_hashes(
    arena: &Arena,
    hasher: &RandomState,
    place: Slot,
    visit: &mut dyn FnMut(u64),
) {
    arena.get(place).handles().for_each(|handle| visit(hasher.hash_one(handle.name())));
}

#[cfg(test)]
mod tests {
    impl super::Index {
        /// How many handles and devices are found: to compare with a model.
        pub(crate) fn found(&self) -> (usize, usize) {
            (self.handles.len(), self.devices.len())
        }
    }
}

//! The index: every account, found by its handles and its devices.
//!
//! Accounts lie packed in an arena; two tables find them. A handle is compared as it is, digits or text, so two handles
//! can never be taken for one another. The hash is seeded at start, since callers choose the keys.
//!
//! Only [`Index::apply`] changes anything, and only the writer's thread calls it, with the gate closed.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, Hash},
    hint::black_box,
};

use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    vocabulary::Platform,
};

use super::{
    account::Account,
    arena::{Arena, Slot},
    handle_state::{HandleState, Tombstone},
    packed::{self, Name, Packed, PackedDevice, pack},
    store::{Mutation, StoreError},
    table::Table,
    totals::Totals,
};

/// A step that names a device of a stored account, while the index has none: the two do not agree any more, and the
/// server must stop rather than answer.
const KNOWN: &str = "the index has every account that the store has";

pub(super) struct Index {
    arena: Arena,
    handles: Table,
    devices: Table,
    tombstones: HashMap<Handle, Tombstone, RandomState>,
    totals: Totals,
    hasher: RandomState,
}

/// Memory of the index, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// All of it, for each handle that an account holds. None if there is none.
    #[schema(required)]
    pub per_handle: Option<u64>,
}

impl IndexBytes {
    /// All of it.
    pub const fn total(&self) -> u64 {
        self.accounts + self.spare + self.handle_table + self.device_table + self.tombstones
    }
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            arena: Arena::default(),
            handles: Table::new(),
            devices: Table::new(),
            tombstones: HashMap::with_hasher(RandomState::default()),
            totals: Totals::default(),
            hasher: RandomState::default(),
        }
    }

    /// An index of the accounts in `arena`, built by `threads` threads. An error if two accounts have the same handle or
    /// the same device.
    pub(super) fn of(arena: Arena, threads: usize) -> Result<Self, StoreError> {
        let mut index = Self { arena, ..Self::new() };
        for (_, packed) in index.arena.iter() {
            index.totals.add(packed);
        }
        let Totals { handles, .. } = index.totals;
        let devices = Platform::ALL.iter().map(|platform| index.totals.devices(*platform)).sum();
        let of = (&index.arena, &index.hasher);
        let damaged = |what| StoreError::Damaged(format!("two accounts have the same {what}"));
        fill(&mut index.devices, threads, devices, of, |packed| {
            packed.devices().map(|one| one.id())
        })
        .then_some(())
        .ok_or_else(|| damaged("device"))?;
        fill(&mut index.handles, threads, handles, of, |packed| {
            packed.handles().map(|one| one.name())
        })
        .then_some(())
        .ok_or_else(|| damaged("handle"))?;
        Ok(index)
    }

    /// What is known about a handle now. `live_until` gives the end of the lease that a check-in began.
    ///
    /// Only a handle that everybody may find costs less than one that nobody holds: the time of an answer must not tell that
    /// somebody holds a handle and hides it. So all others read one account and the tombstones, whoever holds them.
    pub(super) fn probe(
        &self,
        handle: &Handle,
        now: Timestamp,
        live_until: impl Fn(Timestamp) -> Timestamp,
    ) -> HandleState {
        let name = Name::of(handle);
        let hash = self.hasher.hash_one(name);
        let mut held = None;
        self.handles.find(hash, |place| {
            let packed = self.arena.get(place);
            held = packed.handle(name).and_then(|found| packed.probe(found, &live_until));
            held.is_some()
        });
        match held {
            Some(state @ HandleState::Claimed { discoverable: true, .. }) if state.is_live(now) => {
                return state;
            }
            Some(_) => {}
            None => self.read_another(hash, name, &live_until),
        }
        let lost = self.tombstones.get(handle).map(|tombstone| tombstone.probe(now));
        // Unless the compiler must think that it is used, it is not read for a handle that is held.
        held.or(black_box(lost)).unwrap_or(HandleState::Unknown)
    }

    /// Reads an account that does not hold the handle called `name`, as [`Self::probe`] reads one that does. The hash decides
    /// which, so it is in the processor's cache as often as the holder of a hidden handle is: only if it was read before.
    fn read_another(&self, hash: u64, name: Name<'_>, live_until: impl Fn(Timestamp) -> Timestamp) {
        let Some(place) = self.handles.any(hash).or_else(|| self.arena.first()) else { return };
        let packed = self.arena.get(place);
        let handle = packed.handle(name).or_else(|| packed.handles().next());
        black_box(handle.and_then(|handle| packed.probe(handle, live_until)));
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
            Mutation::CheckIn { device, at, .. } => self.check_in(device, at),
            Mutation::PutTombstone(handle, tombstone) => {
                self.tombstones.insert(handle, tombstone);
            }
            Mutation::RemoveTombstone(handle) => drop(self.tombstones.remove(&handle)),
            // Known to the store only.
            Mutation::PutUnrecorded(..) | Mutation::RemoveUnrecorded(_) | Mutation::Applied(_) => {}
            Mutation::PutRow(..) | Mutation::RemoveRow(_) => {
                unreachable!("expiring rows are not in the index")
            }
        }
    }

    fn put_account(&mut self, account: &Account, known_by: Option<DeviceId>) {
        let bytes = pack(account);
        let packed = Packed::of(&bytes);
        self.totals.add(packed);
        let Some(known_by) = known_by else {
            let place = self.arena.insert(packed);
            return self.enter(place);
        };
        let before = self.place_of_device(known_by).expect(KNOWN);
        self.totals.remove(self.arena.get(before));
        let keys = self.keys(before);
        let is_replaced = self.arena.replace(before, packed);
        if is_replaced && self.keys(before) == keys {
            return;
        }
        self.devices.remove(before, &keys.0);
        self.handles.remove(before, &keys.1);
        let place = if is_replaced {
            before
        } else {
            self.arena.remove(before);
            self.arena.insert(packed)
        };
        self.enter(place);
    }

    fn check_in(&mut self, device: DeviceId, at: Timestamp) {
        let place = self.place_of_device(device).expect(KNOWN);
        self.totals.remove(self.arena.get(place));
        packed::check_in(self.arena.get_mut(place), device, at);
        self.totals.add(self.arena.get(place));
    }

    fn remove_account(&mut self, known_by: DeviceId) {
        let place = self.place_of_device(known_by).expect(KNOWN);
        self.totals.remove(self.arena.get(place));
        let (devices, handles) = self.keys(place);
        self.devices.remove(place, &devices);
        self.handles.remove(place, &handles);
        self.arena.remove(place);
    }

    fn enter(&mut self, place: Slot) {
        let (devices, handles) = self.keys(place);
        let (arena, hasher) = (&self.arena, &self.hasher);
        self.devices.insert(place, &devices, &|place, visit| {
            device_hashes(arena.get(place), hasher).for_each(visit)
        });
        self.handles.insert(place, &handles, &|place, visit| {
            handle_hashes(arena.get(place), hasher).for_each(visit)
        });
    }

    /// The hashes of a record's devices and handles.
    fn keys(&self, place: Slot) -> (Vec<u64>, Vec<u64>) {
        let packed = self.arena.get(place);
        let devices = device_hashes(packed, &self.hasher).collect();
        (devices, handle_hashes(packed, &self.hasher).collect())
    }

    /// How much it holds.
    pub(super) const fn totals(&self) -> Totals {
        self.totals
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
            per_handle: None,
        }
    }
}

fn holds(packed: Packed<'_>, name: Name<'_>) -> bool {
    packed.handles().any(|handle| handle.name() == name)
}

fn device_hashes(packed: Packed<'_>, hasher: &RandomState) -> impl Iterator<Item = u64> {
    packed.devices().map(|device| hasher.hash_one(device.id()))
}

fn handle_hashes(packed: Packed<'_>, hasher: &RandomState) -> impl Iterator<Item = u64> {
    packed.handles().map(|handle| hasher.hash_one(handle.name()))
}

/// Fills the table with the `expected` keys of all accounts. False if two accounts have the same key.
fn fill<'a, K: Hash + PartialEq, I: Iterator<Item = K>>(
    table: &mut Table,
    threads: usize,
    expected: u64,
    (arena, hasher): (&'a Arena, &RandomState),
    keys: impl Fn(Packed<'a>) -> I + Sync,
) -> bool {
    let hashes_of = |place, visit: &mut dyn FnMut(u64)| {
        keys(arena.get(place)).for_each(|key| visit(hasher.hash_one(key)));
    };
    table.fill(threads, expected, &hashes_of, |filling| {
        arena.iter().all(|(place, packed)| {
            keys(packed).all(|key| {
                let has_key = |other| keys(arena.get(other)).any(|one| one == key);
                filling.take(hasher.hash_one(&key), place, has_key)
            })
        })
    })
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

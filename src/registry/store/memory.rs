//! A store in memory for tests: survives the registry as a file does, and fails like a disk.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use crate::{handle::Handle, ids::DeviceId};

use super::{Key, Mutation, Row, Store, StoreError};
use crate::registry::{
    changes::Change,
    device::Device,
    entry::{Claim, Ended},
};

/// What is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Disk {
    pub(in crate::registry) devices: BTreeMap<DeviceId, Device>,
    pub(in crate::registry) claims: BTreeMap<Handle, Claim>,
    pub(in crate::registry) ended: BTreeMap<Handle, Ended>,
    pub(in crate::registry) unrecorded: BTreeMap<u64, Change>,
    pub(in crate::registry) batch: u64,
    /// The next commit fails; the flag says whether it is durable all the same.
    pub(in crate::registry) fail_next: Option<bool>,
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
    fn apply(&mut self, mutation: Mutation) {
        match mutation {
            Mutation::Put(Row::Device(key, row)) => drop(self.devices.insert(key, row)),
            Mutation::Put(Row::Claim(key, row)) => drop(self.claims.insert(key, row)),
            Mutation::Put(Row::Ended(key, row)) => drop(self.ended.insert(key, row)),
            Mutation::Put(Row::Unrecorded(key, row)) => drop(self.unrecorded.insert(key, row)),
            Mutation::Remove(Key::Device(key)) => drop(self.devices.remove(&key)),
            Mutation::Remove(Key::Claim(key)) => drop(self.claims.remove(&key)),
            Mutation::Remove(Key::Ended(key)) => drop(self.ended.remove(&key)),
            Mutation::Remove(Key::Unrecorded(key)) => drop(self.unrecorded.remove(&key)),
        }
    }
}

fn disk_full() -> StoreError {
    StoreError::Io(io::Error::from(io::ErrorKind::StorageFull))
}

impl Store for MemoryStore {
    fn subject_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new([7; 32])
    }

    fn last_batch(&self) -> u64 {
        self.disk().batch
    }

    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError> {
        let disk = self.disk().clone();
        disk.devices.into_iter().for_each(|(key, row)| visit(Row::Device(key, row)));
        disk.claims.into_iter().for_each(|(key, row)| visit(Row::Claim(key, row)));
        disk.ended.into_iter().for_each(|(key, row)| visit(Row::Ended(key, row)));
        disk.unrecorded.into_iter().for_each(|(key, row)| visit(Row::Unrecorded(key, row)));
        Ok(())
    }

    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError> {
        assert!(!self.has_failed, "a failed store is opened anew before it is used");
        let mut disk = self.disk();
        let fails = disk.fail_next.take();
        if fails != Some(false) {
            mutations.iter().cloned().for_each(|mutation| disk.apply(mutation));
            disk.batch = batch;
            let is_put = |mutation: &Mutation| matches!(mutation, Mutation::Put(_));
            disk.commits += usize::from(mutations.iter().any(is_put));
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

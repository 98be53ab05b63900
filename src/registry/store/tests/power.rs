//! The power fails at each sync in turn: what was committed is there, and a commit under way is there as a whole or not at
//! all.

use std::{cell::RefCell, io, path::Path};

use ::redb::StorageBackend;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

/// Which of the writes since the last sync reach the disk when the power fails, each time anew.
const CUTS: u64 = 3;

/// A disk that keeps what was synced, and some of the rest.
#[derive(Clone, Default)]
struct Disk {
    /// As the process sees it.
    seen: Vec<u8>,
    /// As it was at the last sync.
    durable: Vec<u8>,
    /// Writes since then.
    pending: Vec<(usize, Vec<u8>)>,
    syncs: u64,
    /// The power fails at this sync.
    fails_at: u64,
}

thread_local! {
    static DISK: RefCell<Disk> = RefCell::default();
}

impl Disk {
    fn write(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
        bytes.resize(bytes.len().max(at + data.len()), 0);
        bytes[at..at + data.len()].copy_from_slice(data);
    }

    fn check_power(&self) -> Result<(), io::Error> {
        let failed = || io::Error::other("the power failed");
        if self.syncs == self.fails_at { Err(failed()) } else { Ok(()) }
    }

    /// What is there when the power is back.
    fn after_power(&self, cut: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(self.fails_at << 8 | cut).to_le_bytes());
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut left = self.durable.clone();
        for (at, data) in &self.pending {
            if random.next_u32().is_multiple_of(2) {
                Self::write(&mut left, *at, data);
            }
        }
        Self { seen: left.clone(), durable: left, fails_at: u64::MAX, ..Self::default() }
    }
}

/// The disk of this thread.
#[derive(Debug)]
struct OfThread;

impl StorageBackend for OfThread {
    fn len(&self) -> Result<u64, io::Error> {
        DISK.with_borrow(|disk| Ok(disk.seen.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        DISK.with_borrow(|disk| {
            let at = offset as usize;
            let bytes = disk.seen.get(at..at + out.len());
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        DISK.with_borrow_mut(|disk| {
            disk.check_power()?;
            disk.seen.resize(len as usize, 0);
            // That a file is long enough is never lost here; what is in it may be.
            disk.durable.resize(len as usize, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        DISK.with_borrow_mut(|disk| {
            disk.check_power()?;
            disk.syncs += 1;
            disk.check_power()?;
            disk.durable = disk.seen.clone();
            disk.pending.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        DISK.with_borrow_mut(|disk| {
            disk.check_power()?;
            Disk::write(&mut disk.seen, offset as usize, data);
            disk.pending.push((offset as usize, data.to_vec()));
            Ok(())
        })
    }

    fn close(&self) -> Result<(), io::Error> {
        Ok(())
    }
}

fn open(dir: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::open_by(dir, NOW, |path| redb::open_database(|_| Ok(OfThread), path))
}

/// Batches that put, replace and remove rows beside an account.
fn batches() -> Vec<Vec<Mutation>> {
    let key = |number: u8| RowKey { kind: RowKind::Sends, key: [number][..].into() };
    let put = |number, value| {
        let row = ExpiringRow { ends_at: Some(NOW), value: vec![value; 900].into() };
        Mutation::PutRow(key(number), row)
    };
    let [(account, ..), ..] = fixture();
    vec![
        vec![put(1, 1), put(2, 1)],
        vec![account, put(3, 2)],
        vec![put(1, 3), Mutation::RemoveRow(key(2))],
        vec![Mutation::RemoveRow(key(1)), put(2, 4), put(4, 4)],
    ]
}

/// Commits until the power fails at the sync of this number. Returns how many batches were committed, if it did. The power
/// does not fail while the store is founded: there is nothing to lose, and redb refuses what is left.
fn run(dir: &Path, sync: u64) -> Option<u64> {
    DISK.set(Disk { fails_at: u64::MAX, ..Disk::default() });
    let mut store = open(dir).expect("a new store");
    DISK.with_borrow_mut(|disk| disk.fails_at = disk.syncs + sync);
    for (number, batch) in (1..).zip(batches()) {
        if store.commit(number, &batch).is_err() {
            return Some(number - 1);
        }
    }
    None
}

#[test]
fn a_power_cut_at_any_sync_leaves_every_committed_row_and_no_half_of_a_batch() {
    let dir = tempfile::tempdir().expect("a directory");
    // All rows after each batch, on a disk that does not fail.
    DISK.set(Disk { fails_at: u64::MAX, ..Disk::default() });
    let mut store = open(dir.path()).expect("a new store");
    let mut after = vec![all(&mut store)];
    for (number, batch) in (1..).zip(batches()) {
        store.commit(number, &batch).expect("there is power");
        after.push(all(&mut store));
    }
    drop(store);
    let mut sync = 1;
    while let Some(committed) = run(dir.path(), sync) {
        let failed = DISK.with_borrow(Disk::clone);
        for cut in 0..CUTS {
            DISK.set(failed.after_power(cut));
            let mut store = open(dir.path()).expect("a crash is repaired");
            let batch = store.last_batch();
            assert!((committed..=committed + 1).contains(&batch), "sync {sync}, cut {cut}");
            assert_eq!(all(&mut store), after[batch as usize], "sync {sync}, cut {cut}");
        }
        sync += 1;
    }
    assert!(sync > batches().len() as u64, "{sync} syncs are too few to say anything");
}

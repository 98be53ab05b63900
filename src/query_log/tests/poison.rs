//! A disk error fails every pending append. The log never retries on the same file, and continues in a new one.

use std::sync::{Arc, atomic::Ordering};

use tempfile::TempDir;

use super::support::*;
use crate::{
    files::tests::sim_disk::SimDisk,
    query_log::{AppendError, Durability, SegmentState},
};

fn bench(durability: Durability) -> (Bench, SimDisk) {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let mut bench = Bench::with_disk(Arc::new(sim.clone()));
    bench.config.durability = durability;
    bench.dir = live;
    (bench, sim)
}

#[test]
fn a_failed_write_or_sync_poisons_until_a_new_file_can_be_written() {
    for (durability, fails_sync) in
        [(Durability::Disk, true), (Durability::Disk, false), (Durability::Os, false)]
    {
        let (bench, sim) = bench(durability);
        let fails = if fails_sync { &sim.fail_syncs } else { &sim.fail_appends };
        let log = bench.open();
        let reader = log.reader();
        let mut tail = reader.tail(reader.position(), &Default::default());
        put(&log, &lookup(1));
        fails.store(true, Ordering::SeqCst);
        let ack = log.append(&lookup(2)).unwrap();
        assert_eq!(ack.wait_blocking(), Err(AppendError::Unwritable));
        assert!(!log.is_writable());
        assert_eq!(log.append(&lookup(3)).err(), Some(AppendError::Unwritable));
        log.shared.reopen();
        assert!(!log.is_writable());
        assert_eq!(numbers(&reader), [1]);
        fails.store(false, Ordering::SeqCst);
        log.shared.reopen();
        assert!(log.is_writable());
        put(&log, &lookup(4));
        assert_eq!(numbers(&reader), [1, 4]);
        let followed = tail.next_rows(10).unwrap();
        assert_eq!(followed.iter().map(|(_, row)| number(row)).collect::<Vec<_>>(), [1, 4]);
        let states: Vec<_> = reader.segments().iter().map(|it| it.state).collect();
        assert_eq!(states, [SegmentState::Abandoned, SegmentState::Active]);
        log.close();
        drop(log);
        // A refused record may be on disk; an acknowledged one must be.
        let log = bench.open();
        let found: Vec<_> = numbers(&log.reader()).into_iter().filter(|n| *n != 2).collect();
        assert_eq!(found, [1, 4]);
    }
}

/// The new file has the name of the one that failed, and a key of its own.
#[test]
fn a_tail_continues_in_a_file_that_was_created_again_without_a_record() {
    let (bench, sim) = bench(Durability::Disk);
    let log = bench.open();
    let reader = log.reader();
    let mut tail = reader.tail(reader.position(), &Default::default());
    for _ in 0..2 {
        sim.fail_appends.store(true, Ordering::SeqCst);
        assert!(log.append(&lookup(1)).unwrap().wait_blocking().is_err());
        sim.fail_appends.store(false, Ordering::SeqCst);
        log.shared.reopen();
        assert!(tail.next_rows(10).unwrap().is_empty());
    }
    put(&log, &lookup(2));
    let followed = tail.next_rows(10).unwrap();
    assert_eq!(followed.iter().map(|(_, row)| number(row)).collect::<Vec<_>>(), [2]);
    assert_eq!((tail.damaged(), frames_in(&bench.log_dir()).len()), (0, 1));
}

#[test]
fn it_becomes_writable_again_by_itself() {
    let (bench, sim) = bench(Durability::Disk);
    let log = bench.open();
    sim.fail_appends.store(true, Ordering::SeqCst);
    assert!(log.append(&lookup(1)).unwrap().wait_blocking().is_err());
    sim.fail_appends.store(false, Ordering::SeqCst);
    let started = std::time::Instant::now();
    while !log.is_writable() {
        assert!(started.elapsed().as_secs() < 120);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    put(&log, &lookup(2));
    assert_eq!(numbers(&log.reader()), [2]);
    assert_eq!(frames_in(&bench.log_dir()).len(), 1, "retries leave no empty files");
}

//! A power cut at every change of the directory, and at every byte of the last frame.

use std::{collections::BTreeSet, fs, sync::Arc};

use tempfile::TempDir;

use super::support::*;
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    files::tests::sim_disk::{SimDisk, Survives, UnsyncedDisk},
    query_log::{Durability, QueryLog},
    shutdown::Shutdown,
};

/// An acknowledged record: the change that made it durable, its number, and until when it must be readable.
struct Ack {
    ops: usize,
    n: u64,
    at: Timestamp,
}

/// The hihistory to which the test compares each crash.
struct Hihistory {
    sim: SimDisk,
    _live: TempDir,
    acks: Vec<Ack>,
    /// The wall clock after each number of changes.
    walls: Vec<(usize, Timestamp)>,
    attempted: u64,
}

/// Five hours with a retention of three: appends, changes of the hour, destroyed keys, a restart.
fn history() -> Hihistory {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let mut bench = Bench::with_disk(Arc::new(sim.clone()));
    bench.config = crate::query_log::Config {
        durability: Durability::Disk,
        retention: 3 * HOUR,
        ..Default::default()
    };
    bench.dir = live;
    let (mut acks, mut walls, mut n) = (Vec::new(), vec![(0, START)], 0);
    for run in 0..2 {
        let log = bench.open();
        for step in 0..7 {
            walls.push((sim.ops(), bench.clock.now()));
            put(&log, &lookup(n));
            acks.push(Ack { ops: sim.ops(), n, at: bench.clock.now() });
            n += 1;
            bench.clock.advance(HOUR / 3);
            if step % 2 == 1 {
                walls.push((sim.ops(), bench.clock.now()));
                log.tick();
                let sealed = log.seal(&|| false);
                assert!(sealed.failed.is_empty(), "{:?}", sealed.failed);
            }
        }
        if run == 0 { log.abandon() } else { log.close() }
    }
    Hihistory { sim, _live: bench.dir, acks, walls, attempted: n }
}

fn reopen_and_check(history: &Hihistory, count: usize, torn: usize, survives: Survives) {
    let crashed = TempDir::new().unwrap();
    history.sim.crash_at(count, torn, survives, crashed.path());
    let wall = history.walls.iter().rev().find(|wall| wall.0 <= count).unwrap().1;
    let clock = ManualClock::at(wall);
    let config = crate::query_log::Config {
        durability: Durability::Disk,
        retention: 3 * HOUR,
        ..Default::default()
    };
    let options = options(crashed.path(), &clock, &config, &(Arc::new(UnsyncedDisk) as _));
    let context = format!("{count} changes, {torn} bytes, {survives:?}");
    for round in 0..2 {
        let opened = QueryLog::open(options.clone(), &Shutdown::new());
        let (log, report) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!((report.damaged, report.unreadable.len()), (0, 0), "{context}");
        assert!(
            report.keys_missing.is_empty() && report.unknown.is_empty(),
            "{context}: {report:?}"
        );
        assert!(round == 0 || report.finished == 0, "{context}: what was repaired stays so");
        let found = numbers(&log.reader());
        let unique: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(unique.len(), found.len(), "{context}: a record twice");
        assert!(unique.iter().all(|n| *n < history.attempted), "{context}: an invented record");
        for ack in history.acks.iter().filter(|ack| ack.ops <= count) {
            // Retention destroys whole hours, so every record younger than the retention minus one hour exists.
            let (gone, there) = (ack.at <= wall.minus(3 * HOUR), ack.at > wall.minus(2 * HOUR));
            let found = unique.contains(&ack.n);
            assert!(!(gone && found), "{context}: record {} is readable", ack.n);
            assert!(!there || found, "{context}: record {} is lost", ack.n);
        }
        let outcome = log.tick();
        assert!(outcome.error.is_none() && outcome.files_left == 0, "{context}");
        assert!(
            log.reader().segments().iter().all(|segment| segment.expires_at > wall),
            "{context}"
        );
        let found = numbers(&log.reader());
        assert!(log.seal(&|| false).failed.is_empty(), "{context}");
        assert_eq!(numbers(&log.reader()), found, "{context}: sealing changed what is there");
        let report = log.reader().verify();
        assert!(report.sound, "{context}: {report:?}");
        log.close();
    }
}

#[test]
fn a_power_cut_at_any_change_loses_no_acknowledged_record() {
    let history = history();
    for count in 0..=history.sim.ops() {
        for survives in Survives::ALL {
            reopen_and_check(&history, count, 0, survives);
        }
        let bytes = history.sim.appended(count);
        for torn in [1, bytes / 2, bytes.saturating_sub(1)] {
            if torn > 0 && torn < bytes {
                reopen_and_check(&history, count, torn, Survives::Everything);
            }
        }
    }
}

#[test]
fn a_frame_torn_at_any_byte_costs_only_itself_and_is_kept_aside() {
    let bench = Bench::new();
    let log = bench.open();
    (0..3).for_each(|n| put(&log, &lookup(n)));
    log.abandon();
    let segment = bench.only_segment();
    let whole = fs::read(&segment).unwrap();
    let name = segment.file_name().unwrap();
    let last = whole.len() - (whole.len() - 128) / 3;
    for len in 0..whole.len() {
        let crashed = TempDir::new().unwrap();
        copy_dir(bench.dir.path(), crashed.path());
        fs::write(crashed.path().join("log").join(name), &whole[..len]).unwrap();
        let options = options(crashed.path(), &bench.clock, &bench.config, &bench.disk);
        let seen = numbers(&read_only(crashed.path(), &bench.clock).unwrap());
        let (log, report) = QueryLog::open(options, &Shutdown::new()).unwrap();
        assert_eq!(numbers(&log.reader()), seen, "{len}");
        assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>(), "{len}");
        assert!(len < last || seen.len() == 2, "{len}: only the torn frame may be lost");
        assert_eq!((report.damaged, report.finished), (0, 1), "{len}");
        put(&log, &lookup(100));
        log.close();
        let mut kept: Vec<u8> = Vec::new();
        for entry in fs::read_dir(crashed.path().join("log")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "cut") {
                kept = fs::read(path).unwrap();
            }
        }
        assert_eq!(kept.len() as u64, report.cut_bytes, "{len}");
        assert!(whole[..len].ends_with(&kept), "{len}");
        let reopened = read_only(crashed.path(), &bench.clock).unwrap();
        assert!(reopened.verify().sound, "{len}: {:?}", reopened.verify());
    }
}

//! The log keeps a record for 30 days, neither longer nor shorter, also with wrong clocks and in copies.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aws_lc_rs::digest;
use tempfile::TempDir;

use super::support::*;
use crate::{
    clock::{Clock, TrustedClock},
    files::{OsDisk, tests::sim_disk::SimDisk},
    query_log::{Filter, LogOptions, Order, QueryLog},
    shutdown::Shutdown,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn over_45_days_nothing_older_is_readable_and_nothing_younger_is_gone() {
    let bench = Bench::new();
    let log = bench.open();
    let mut written = Vec::new();
    for hour in 0..45 * 24u64 {
        for n in 0..3 {
            put(&log, &lookup(hour * 3 + n));
            written.push((bench.clock.now(), hour * 3 + n));
            bench.clock.advance(HOUR / 3);
        }
        assert!(log.tick().error.is_none());
        let now = bench.clock.now();
        let found =
            log.reader().search(&Filter::default(), Order::Asc, None).next().unwrap().unwrap().1;
        assert!(found.at > now.minus(30 * DAY), "an old row at hour {hour}");
        let young = written.iter().find(|row| row.0 > now.minus(30 * DAY - HOUR)).unwrap();
        assert!(found.at <= young.0, "a young row is gone at hour {hour}");
        if hour % 200 == 199 {
            let keep = written.iter().filter(|row| row.0 > now.minus(30 * DAY - HOUR)).count();
            assert!(numbers(&log.reader()).len() >= keep);
        }
    }
    assert!(frames_in(&bench.log_dir()).len() <= 30 * 24 + 1);
    assert!(log.reader().verify().sound);
}

fn copy_of(bench: &Bench) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_dir(bench.dir.path(), copy.path());
    copy
}

#[test]
fn an_old_copy_is_dead_with_todays_root_key_and_with_todays_keys() {
    let bench = Bench::new();
    let log = bench.open();
    put(&log, &lookup(1));
    bench.clock.advance(HOUR);
    log.tick();
    let (first, second, control) = (copy_of(&bench), copy_of(&bench), copy_of(&bench));
    assert_eq!(numbers(&read_only(control.path(), &bench.clock).unwrap()), [1]);
    bench.clock.advance(31 * DAY);
    assert_eq!(log.tick().hours_destroyed, 1);
    put(&log, &lookup(2));
    log.close();
    let keys = bench.dir.path().join("keys");
    fs::copy(keys.join("root.key"), first.path().join("keys/root.key")).unwrap();
    assert!(read_only(first.path(), &bench.clock).is_err());
    // The clock shows the day of the copy, so only the key prevents reading.
    let then = crate::clock::ManualClock::at(START.plus(2 * HOUR));
    for name in ["root.key", "keyring"] {
        fs::copy(keys.join(name), second.path().join("keys").join(name)).unwrap();
    }
    assert_eq!(numbers(&read_only(second.path(), &then).unwrap()), [] as [u64; 0]);
    assert_eq!(numbers(&read_only(control.path(), &then).unwrap()), [1]);
}

#[test]
fn a_clock_that_jumps_ahead_destroys_nothing_and_hides_what_looks_old() {
    let bench = Bench::new();
    bench.clock.set_synchronised(false);
    let (data, machine) = (bench.dir.path(), Arc::clone(&bench.clock) as _);
    let clock = TrustedClock::open(machine, OsDisk::shared(), data, &Default::default()).unwrap();
    let options = LogOptions { clock: Arc::new(clock), ..bench.options() };
    let log = QueryLog::open(options, &Shutdown::new()).unwrap().0;
    put(&log, &lookup(1));
    bench.clock.advance(HOUR);
    let honest = bench.clock.now();
    bench.clock.set_wall(honest.plus(400 * DAY));
    assert_eq!(log.tick().hours_destroyed, 0);
    assert_eq!(
        numbers(&log.reader()),
        [] as [u64; 0],
        "shown though it is too old by the wall clock"
    );
    put(&log, &lookup(2));
    bench.clock.set_wall(honest);
    assert_eq!(log.tick().hours_destroyed, 0);
    assert_eq!(numbers(&log.reader()), [1, 2]);
    bench.clock.advance(30 * DAY);
    assert_eq!(log.tick().hours_destroyed, 2);
}

/// A first start with a wrong clock, which a time service corrects: neither a jump back nor one ahead is an age.
#[test]
fn what_was_written_before_a_correction_is_kept_for_thirty_days() {
    for wrong in [START.plus(4_000 * DAY), START.minus(40 * DAY), START.minus(30 * HOUR)] {
        let bench = Bench::new();
        bench.clock.set_synchronised(false);
        bench.clock.set_wall(wrong);
        let (data, machine) = (bench.dir.path(), Arc::clone(&bench.clock) as _);
        let clock = TrustedClock::open(machine, OsDisk::shared(), data, &Default::default());
        let clock = Arc::new(clock.unwrap());
        let open = || {
            let options = LogOptions { clock: Arc::clone(&clock) as _, ..bench.options() };
            QueryLog::open(options, &Shutdown::new()).unwrap().0
        };
        let log = open();
        put(&log, &lookup(1));
        bench.clock.advance(HOUR / 2);
        put(&log, &lookup(2));
        bench.clock.set_wall(START.plus(HOUR / 2));
        bench.clock.set_synchronised(true);
        assert_eq!(log.tick().hours_destroyed, 0);
        put(&log, &lookup(3));
        assert_eq!(numbers(&log.reader()), [1, 2, 3]);
        let reader = log.reader();
        let second = reader.search(&Filter::default(), Order::Asc, None).nth(1).unwrap().unwrap().0;
        log.close();
        drop(log);
        let log = open();
        for is_sealed in [false, true] {
            let outcome = if is_sealed { log.seal(&|| false) } else { Default::default() };
            assert!(outcome.failed.is_empty());
            assert_eq!(numbers(&log.reader()), [1, 2, 3]);
            for (order, behind) in [(Order::Asc, 3), (Order::Desc, 1)] {
                let mut rest = log.reader().search(&Filter::default(), order, Some(second));
                assert_eq!(number(&rest.next().unwrap().unwrap().1), behind);
                assert!(rest.next().is_none());
            }
        }
        bench.clock.advance(30 * DAY - HOUR);
        assert_eq!(log.tick().hours_destroyed, 0);
        assert_eq!(numbers(&log.reader()), [1, 2, 3]);
        assert!(log.reader().verify().sound);
        bench.clock.advance(HOUR);
        assert_eq!(log.tick().hours_destroyed, 2);
        assert_eq!(numbers(&log.reader()), [] as [u64; 0]);
        assert!(log.reader().prove_forgotten().unwrap().proved);
        let sealed = log.reader().segments();
        assert!(sealed.is_empty(), "{sealed:?}");
    }
}

#[test]
fn a_clock_that_was_far_behind_makes_nothing_look_old() {
    let bench = Bench::new();
    let log = bench.open();
    put(&log, &lookup(1));
    log.close();
    drop(log);
    bench.clock.set_wall(crate::clock::Timestamp::from_secs(1_000));
    let log = bench.open();
    log.tick();
    put(&log, &lookup(2));
    log.close();
    drop(log);
    bench.clock.set_wall(START.plus(DAY));
    let log = bench.open();
    log.tick();
    assert_eq!(numbers(&log.reader()), [1]);
}

#[test]
fn a_step_back_of_an_hour_loses_and_misorders_nothing_across_restarts() {
    let bench = Bench::new();
    let mut log = bench.open();
    for n in 0..60 {
        if n == 20 {
            bench.clock.set_wall(bench.clock.now().minus(HOUR));
        }
        if n % 15 == 14 {
            log.close();
            drop(log);
            log = bench.open();
        }
        put(&log, &lookup(n));
        bench.clock.advance(HOUR / 6);
    }
    assert_eq!(numbers(&log.reader()), (0..60).collect::<Vec<_>>());
    assert!(log.reader().verify().sound);
}

#[test]
fn files_that_cannot_be_removed_are_tried_again_and_a_quiet_hour_is_ended() {
    let live = TempDir::new().unwrap();
    let sim = SimDisk::new(live.path());
    let mut bench = Bench::with_disk(Arc::new(sim.clone()));
    bench.dir = live;
    let log = bench.open();
    put(&log, &lookup(1));
    bench.clock.advance(HOUR);
    log.tick();
    assert_eq!(log.reader().segments()[0].state, crate::query_log::SegmentState::Closed);
    sim.fail_unlinks.store(true, Ordering::SeqCst);
    bench.clock.advance(30 * DAY);
    let outcome = log.tick();
    assert_eq!((outcome.hours_destroyed, outcome.files_left, outcome.files_removed), (1, 1, 0));
    assert_eq!(log.tick().files_left, 1);
    sim.fail_unlinks.store(false, Ordering::SeqCst);
    let outcome = log.tick();
    assert_eq!((outcome.hours_destroyed, outcome.files_left, outcome.files_removed), (0, 0, 1));
}

#[test]
fn a_paused_reader_gets_nothing_that_expired_meanwhile_and_holds_no_file() {
    let bench = Bench::new();
    let log = bench.open();
    for n in 0..10 {
        put(&log, &lookup(n));
        bench.clock.advance(Duration::from_secs(1));
    }
    let mut search = log.reader().search(&Filter::default(), Order::Asc, None);
    assert!(search.next().is_some());
    bench.clock.advance(30 * DAY);
    assert_eq!(log.tick().files_removed, 1);
    assert!(search.next().is_none());
    let held = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let name = bench.log_dir().to_string_lossy().into_owned();
    let deleted = |link: &std::path::PathBuf| {
        let text = link.to_string_lossy();
        text.starts_with(&name) && text.ends_with("(deleted)")
    };
    assert!(!held.into_iter().any(|link| deleted(&link)));
    drop(search);
}

fn every_byte(dir: &Path, out: &mut Vec<u8>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { every_byte(&path, out) } else { out.extend(fs::read(path).unwrap()) }
    }
}

#[test]
fn no_handle_is_on_disk_in_any_form() {
    let bench = Bench::new();
    let log: QueryLog = bench.open();
    put(&log, &lookup(123));
    log.close();
    let mut bytes = Vec::new();
    every_byte(bench.dir.path(), &mut bytes);
    let number = 14_155_550_123_u64;
    let mut planted: Vec<Vec<u8>> =
        vec![b"4155550123".to_vec(), number.to_le_bytes()[..5].to_vec()];
    planted.push(number.to_be_bytes()[3..].to_vec());
    planted.push(vec![192, 0, 2, 123]);
    for text in ["+14155550123", "14155550123"] {
        for algorithm in [&digest::SHA256, &digest::SHA1_FOR_LEGACY_USE_ONLY, &digest::SHA512] {
            planted.push(digest::digest(algorithm, text.as_bytes()).as_ref()[..8].to_vec());
        }
    }
    for secret in planted {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{secret:?}");
    }
}

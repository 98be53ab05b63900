//! The log reports damage and keeps the file. Damage costs only the records that it hits.

use std::fs;

use tempfile::TempDir;

use super::support::*;
use crate::{
    query_log::{Filter, KeyState, Order, QueryLog, SegmentState},
    shutdown::Shutdown,
};

#[test]
fn a_flipped_bit_costs_at_most_its_frame_and_never_makes_a_wrong_record() {
    let bench = Bench::new();
    let log = bench.open();
    (0..4).for_each(|n| put(&log, &lookup(n)));
    let written = rows(&log.reader(), &Filter::default(), Order::Asc);
    log.close();
    drop(log);
    let segment = bench.only_segment();
    let whole = fs::read(&segment).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let damaged = TempDir::new().unwrap();
        copy_dir(bench.dir.path(), damaged.path());
        let path = damaged.path().join("log").join(segment.file_name().unwrap());
        fs::write(&path, &flipped).unwrap();
        let options = options(damaged.path(), &bench.clock, &bench.config, &bench.disk);
        let (log, report) = QueryLog::open(options, &Shutdown::new()).unwrap();
        for order in [Order::Asc, Order::Desc] {
            let mut search = log.reader().search(&Filter::default(), order, None);
            let found: Vec<_> = search.by_ref().map(|row| row.unwrap().1).collect();
            assert!(found.iter().all(|row| written.contains(row)), "byte {at}: an invented row");
            assert!(found.len() + 1 >= written.len(), "byte {at}: more than a frame lost");
            let counted = search.outcome().damaged > 0 || report.damaged > 0;
            assert_eq!(
                found.len() < written.len(),
                counted,
                "byte {at}: a loss that is not counted"
            );
        }
        // Recovery may replace only the end frame. The bytes before it are unchanged.
        let now = fs::read(&path).unwrap();
        let kept = now.len().min(whole.len() - 52);
        assert_eq!(now[..kept], flipped[..kept], "byte {at}: something was deleted");
        assert_eq!(now.len(), whole.len(), "byte {at}");
    }
}

#[test]
fn a_missing_frame_is_distinguished_from_a_torn_tail() {
    let bench = Bench::new();
    let log = bench.open();
    (0..4).for_each(|n| put(&log, &lookup(n)));
    log.abandon();
    let segment = bench.only_segment();
    let mut bytes = fs::read(&segment).unwrap();
    let frame = (bytes.len() - 128) / 4;
    bytes.drain(128 + frame..128 + 2 * frame);
    fs::write(&segment, &bytes).unwrap();
    let (log, report) = bench.try_open().unwrap();
    assert_eq!((report.damaged, report.cut_bytes), (1, 0));
    assert_eq!(numbers(&log.reader()), [0, 2, 3]);
    let verified = log.reader().verify();
    assert_eq!((verified.segments[0].gaps, verified.segments[0].records), (1, 3));
    assert!(!verified.sound);
}

#[test]
fn unknown_and_unreadable_files_are_reported_and_kept() {
    let bench = Bench::new();
    let log = bench.open();
    put(&log, &lookup(0));
    log.close();
    drop(log);
    let dir = bench.log_dir();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    // A segment of an hour without a key, and one whose name does not match its header.
    let whole = fs::read(bench.only_segment()).unwrap();
    fs::write(dir.join("0000498720-000001.frames"), &whole).unwrap();
    let mut headless = whole.clone();
    headless[..128].fill(b'x');
    fs::write(dir.join("0000498728-000009.frames"), &headless).unwrap();
    let (log, report) = bench.try_open().unwrap();
    assert_eq!(report.unknown, ["notes.txt"]);
    assert_eq!(report.unreadable.len(), 2);
    assert_eq!(numbers(&log.reader()), [0]);
    log.tick();
    assert_eq!(frames_in(&dir).len(), 3);
    assert_eq!(fs::read(dir.join("0000498728-000009.frames")).unwrap(), headless);
    assert!(log.reader().verify().segments.iter().any(|it| it.unreadable));
}

#[test]
fn a_segment_without_its_key_is_kept_until_it_expires() {
    let bench = Bench::new();
    let log = bench.open();
    put(&log, &lookup(0));
    log.close();
    drop(log);
    // The keys of another installation open none of these files.
    fs::remove_dir_all(bench.dir.path().join("keys")).unwrap();
    assert!(bench.try_open().is_err(), "no fresh keys over existing data");
    let other = Bench::new();
    other.open().close();
    copy_dir(&other.dir.path().join("keys"), &bench.dir.path().join("keys"));
    let (log, report) = bench.try_open().unwrap();
    assert_eq!(report.keys_missing.len(), 1);
    assert_eq!(log.reader().segments()[0].state, SegmentState::KeyMissing);
    assert_eq!(log.reader().verify().segments[0].key, KeyState::Missing);
    let mut search = log.reader().search(&Filter::default(), Order::Asc, None);
    assert!(search.next().is_none());
    assert_eq!(search.outcome().unreadable_segments, 1);
    assert_eq!(log.tick().files_removed, 0);
    assert_eq!(frames_in(&bench.log_dir()).len(), 1);
    bench.clock.advance(30 * 24 * HOUR);
    assert_eq!(log.tick().files_removed, 1);
}

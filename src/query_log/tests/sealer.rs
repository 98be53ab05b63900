//! Sealing changes the form of a segment and no row that a reader gets.

use std::{cell::Cell, fs, path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::support::*;
use crate::{
    clock::Clock,
    envelope::FILE_HEADER_BYTES,
    query_log::{
        Cursor, Filter, Kind, Order, QueryLog, SealError, SearchOutcome, SegmentState,
        segment::tests::mistake,
    },
    vocabulary::{Reason, Route},
};

const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn files(dir: &std::path::Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == extension)).collect();
    found.sort();
    found
}

/// Lookups and changes over some hours, of which all but the last have ended.
pub(super) fn filled(bench: &Bench, hours: u64, per_hour: u64) -> QueryLog {
    let log = bench.open();
    for hour in 0..hours {
        for n in hour * per_hour..(hour + 1) * per_hour {
            put(&log, &if n % 9 == 4 { change(n * 13) } else { lookup(n * 13) });
            bench.clock.advance(HOUR / u32::try_from(per_hour + 1).unwrap());
        }
        let now = bench.clock.now();
        bench.clock.advance(now.hour(Default::default()).end().since(now));
        log.tick();
    }
    put(&log, &lookup(1_000_000));
    bench.clock.advance(2 * MINUTE);
    log
}

fn seal(log: &QueryLog) -> usize {
    let outcome = log.seal(&|| false);
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    outcome.segments
}

fn filters() -> Vec<Filter> {
    let all = Filter::default;
    let minutes = |count: u32| Some(START.plus(MINUTE * count));
    vec![
        all(),
        Filter { handle: Some(phone(13)), ..all() },
        Filter { handle: Some(phone(9_999)), ..all() },
        Filter { device: Some(crate::ids::DeviceId::from_bits(3)), ..all() },
        Filter { account: Some(crate::ids::AccountId::from_bits(2)), ..all() },
        Filter { ip: Some("192.0.2.0/26".parse().unwrap()), ..all() },
        Filter { route: Some(Route::Sms), ..all() },
        Filter { reason: Some(Reason::LiveDevice), ..all() },
        Filter { kind: Some(Kind::Change), ..all() },
        Filter { since: minutes(50), until: minutes(110), ..all() },
        Filter {
            since: minutes(70),
            kind: Some(Kind::Lookup),
            route: Some(Route::Imessage),
            ..all()
        },
    ]
}

#[test]
fn every_search_gives_the_same_before_and_after() {
    let bench = Bench::new();
    let log = filled(&bench, 3, 200);
    let ask = |log: &QueryLog| {
        let orders = [Order::Asc, Order::Desc];
        let asked =
            filters().into_iter().flat_map(|filter| orders.map(|order| (filter.clone(), order)));
        asked.map(|(filter, order)| rows(&log.reader(), &filter, order)).collect::<Vec<_>>()
    };
    let before = ask(&log);
    assert_eq!(seal(&log), 3);
    assert_eq!(ask(&log), before);
    assert_eq!(seal(&log), 0, "nothing is left to do");
    let states: Vec<_> = log.reader().segments().iter().map(|it| (it.state, it.records)).collect();
    let sealed = (SegmentState::Sealed, 200);
    assert_eq!(states, [sealed, sealed, sealed, (SegmentState::Active, 1)]);
    assert_eq!(files(&bench.log_dir(), "frames").len(), 1);
    assert!(files(&bench.log_dir(), "sealing").is_empty());
    assert!(log.reader().verify().sound, "{:?}", log.reader().verify());
    log.abandon();
    let log = bench.open();
    assert_eq!(ask(&log), before);
    assert_eq!(ask_files(&bench), before);
    for filter in filters() {
        let mut walk = log.reader().walk(&filter);
        let mut walked: Vec<_> = walk.by_ref().map(|row| row.unwrap().1).collect();
        assert_eq!(walk.outcome(), crate::query_log::SearchOutcome::default());
        walked.sort_by_key(|row| row.at);
        assert_eq!(walked, rows(&log.reader(), &filter, Order::Asc));
    }
}

#[test]
fn a_walk_continues_when_segments_are_sealed() {
    for taken in [0, 1, 70, 200, 399] {
        let bench = Bench::new();
        let log = filled(&bench, 2, 200);
        let all = numbers(&log.reader());
        let mut walk = log.reader().walk(&Filter::default());
        let mut found: Vec<_> =
            walk.by_ref().take(taken).map(|row| number(&row.unwrap().1)).collect();
        assert_eq!(seal(&log), 2);
        found.extend(walk.map(|row| number(&row.unwrap().1)));
        found.sort_unstable();
        let mut all = all;
        all.sort_unstable();
        assert_eq!(found, all, "after {taken}");
    }
}

fn ask_files(bench: &Bench) -> Vec<Vec<crate::query_log::LogRow>> {
    let reader = bench.read_only().unwrap();
    let orders = [Order::Asc, Order::Desc];
    let asked =
        filters().into_iter().flat_map(|filter| orders.map(|order| (filter.clone(), order)));
    asked.map(|(filter, order)| rows(&reader, &filter, order)).collect()
}

#[test]
fn pages_join_although_segments_are_sealed_and_expire_between_them() {
    for order in [Order::Asc, Order::Desc] {
        let mut bench = Bench::new();
        bench.config.retention = 6 * HOUR;
        let log = filled(&bench, 4, 50);
        let all: Vec<u64> =
            rows(&log.reader(), &Filter::default(), order).iter().map(number).collect();
        let (mut paged, mut after, mut turn) = (Vec::new(), None::<Cursor>, 0);
        loop {
            let search = log.reader().search(&Filter::default(), order, after);
            let page: Vec<_> = search.take(9).map(Result::unwrap).collect();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.to_string().parse().unwrap());
            paged.extend(page.iter().map(|(_, row)| number(row)));
            turn += 1;
            if turn % 5 == 2 {
                // One segment at a time.
                let asked = Cell::new(0);
                log.seal(&|| asked.replace(asked.get() + 1) > 3);
            }
            bench.clock.advance(3 * MINUTE);
            log.tick();
        }
        // Rows that expired before their page are missing. No other row is missing, and none comes twice.
        let mut left = all.iter();
        assert!(
            paged.iter().all(|n| left.any(|other| other == n)),
            "{order:?}: out of order or twice"
        );
        let newest = all.len() - 100;
        match order {
            Order::Asc => assert!(paged.ends_with(&all[newest..]), "{order:?}"),
            Order::Desc => assert!(paged.starts_with(&all[..all.len() - newest]), "{order:?}"),
        }
    }
}

#[test]
fn a_search_continues_when_its_segment_is_sealed() {
    for order in [Order::Asc, Order::Desc] {
        for taken in [0, 1, 70, 200, 399] {
            let bench = Bench::new();
            let log = filled(&bench, 2, 200);
            let all = rows(&log.reader(), &Filter::default(), order);
            let mut search = log.reader().search(&Filter::default(), order, None);
            let mut found: Vec<_> = search.by_ref().take(taken).map(|row| row.unwrap().1).collect();
            assert_eq!(seal(&log), 2);
            found.extend(search.by_ref().map(|row| row.unwrap().1));
            assert_eq!(found, all, "{order:?} after {taken}");
            assert_eq!(search.outcome(), crate::query_log::SearchOutcome::default());
        }
    }
}

#[test]
fn a_tail_that_fell_behind_continues_in_the_sealed_segment() {
    for read_first in [0, 3, 50] {
        let bench = Bench::new();
        let log = bench.open();
        put(&log, &lookup(500));
        let reader = log.reader();
        let mut tail = reader.tail(reader.position(), &Filter::default());
        for n in 0..100 {
            bench.clock.advance(Duration::from_secs(1));
            put(&log, &lookup(n));
        }
        let mut seen: Vec<u64> = Vec::new();
        while seen.len() < read_first {
            seen.extend(tail.next_rows(1).unwrap().iter().map(|(_, row)| number(row)));
        }
        bench.clock.advance(2 * HOUR);
        log.tick();
        assert_eq!(seal(&log), 1);
        put(&log, &lookup(100));
        loop {
            let more = tail.next_rows(7).unwrap();
            if more.is_empty() {
                break;
            }
            seen.extend(more.iter().map(|(_, row)| number(row)));
        }
        assert_eq!(seen, (0..=100).collect::<Vec<_>>(), "after {read_first}");
    }
}

#[test]
fn a_followed_or_damaged_segment_is_not_sealed() {
    let bench = Bench::new();
    let log = bench.open();
    (0..4).for_each(|n| put(&log, &lookup(n)));
    bench.clock.advance(HOUR);
    log.tick();
    assert_eq!(seal(&log), 0, "within the grace");
    log.abandon();
    let path = bench.only_segment();
    let mut bytes = fs::read(&path).unwrap();
    let damaged = 128 + (bytes.len() - 128) / 3;
    bytes[damaged] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let log = bench.open();
    let outcome = log.seal(&|| false);
    assert_eq!((outcome.segments, outcome.failed.len()), (0, 1), "{:?}", outcome.failed);
    assert_eq!(log.seal(&|| false).failed.len(), 0, "said once");
    assert_eq!(fs::read(&path).unwrap()[..bytes.len()], bytes[..]);
    assert!(files(&bench.log_dir(), "sealing").is_empty());
}

#[test]
fn a_mistake_of_the_writer_leaves_the_frames() {
    for (name, mistake) in mistake::MISTAKES {
        let bench = Bench::new();
        let log = filled(&bench, 1, 200);
        let all = numbers(&log.reader());
        mistake::set(Some(*mistake));
        let outcome = log.seal(&|| false);
        mistake::set(None);
        assert_eq!((outcome.segments, outcome.failed.len()), (0, 1), "{name}");
        assert!(matches!(outcome.failed[0].1, SealError::Differs(_)), "{name}: {outcome:?}");
        assert_eq!(files(&bench.log_dir(), "frames").len(), 2, "{name}");
        assert!(files(&bench.log_dir(), "sealing").is_empty(), "{name}");
        assert_eq!(numbers(&log.reader()), all, "{name}");
        log.abandon();
        // The active segment is finished by then, too.
        assert_eq!(seal(&bench.open()), 2, "{name}: afterwards");
    }
}

#[test]
fn a_segment_that_expires_during_sealing_leaves_no_file_and_no_failure() {
    for moment in 1..40 {
        let bench = Bench::new();
        let log = filled(&bench, 1, 300);
        let asked = Cell::new(0);
        let outcome = log.seal(&|| {
            // The sealer calls it between segments and while it writes one.
            if asked.replace(asked.get() + 1) == moment {
                bench.clock.advance(31 * 24 * HOUR);
                assert_eq!(log.tick().hours_destroyed, 2);
            }
            false
        });
        if asked.get() <= moment {
            assert!(moment > 1, "never asked while writing");
            break;
        }
        assert!(outcome.failed.is_empty(), "at {moment}: {:?}", outcome.failed);
        assert_eq!(outcome.segments, 0, "at {moment}");
        log.tick();
        assert_eq!(fs::read_dir(bench.log_dir()).unwrap().count(), 1, "only the lock is left");
    }
}

#[test]
fn an_incomplete_file_without_frames_is_reported_unless_its_hour_is_being_removed() {
    let bench = Bench::new();
    let log = filled(&bench, 1, 20);
    log.close();
    drop(log);
    let name = |at: crate::clock::Timestamp| {
        format!("{:010}-000007.sealing", at.hour(Default::default()).number())
    };
    let (alive, expired) = (name(START), name(START.minus(31 * 24 * HOUR)));
    for name in [&alive, &expired] {
        fs::write(bench.log_dir().join(name), b"half a file").unwrap();
    }
    let (log, report) = bench.try_open().unwrap();
    assert_eq!(report.unknown, [&*alive]);
    log.tick();
    let left = files(&bench.log_dir(), "sealing");
    assert_eq!(left, [bench.log_dir().join(&alive)]);
    bench.clock.advance(31 * 24 * HOUR);
    log.tick();
    assert!(files(&bench.log_dir(), "sealing").is_empty(), "it dies with its hour");
}

#[test]
fn a_stop_leaves_the_frames_and_nothing_else() {
    let bench = Bench::new();
    let log = filled(&bench, 1, 300);
    let all = numbers(&log.reader());
    let asked = Cell::new(0);
    let outcome = log.seal(&|| asked.replace(asked.get() + 1) >= 1);
    assert_eq!((outcome.segments, outcome.failed.len()), (0, 0));
    assert!(
        files(&bench.log_dir(), "sealing").is_empty()
            && files(&bench.log_dir(), "sealed").is_empty()
    );
    assert_eq!(numbers(&log.reader()), all);
    assert_eq!(seal(&log), 1);
}

#[test]
fn a_removed_a_replaced_and_an_expired_segment_are_distinguished() {
    let bench = Bench::new();
    let log = filled(&bench, 5, 20);
    assert_eq!(seal(&log), 5);
    let sound = log.reader().verify().chain;
    assert!(sound.is_sound() && sound.head.is_some(), "{sound:?}");
    log.close();
    drop(log);
    let sealed = files(&bench.log_dir(), "sealed");
    let chain_of = |change: &dyn Fn(&[PathBuf])| {
        let copy = TempDir::new().unwrap();
        copy_dir(bench.dir.path(), copy.path());
        change(&files(&copy.path().join("log"), "sealed"));
        read_only(copy.path(), &bench.clock).unwrap().verify()
    };
    for removed in 0..4 {
        let report = chain_of(&|files| fs::remove_file(&files[removed]).unwrap());
        let name = sealed[removed].file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(report.chain.missing, [name], "{removed}");
        assert!(!report.sound);
    }
    // The log cannot detect the removal of the newest segment. A stored head does.
    let cut = chain_of(&|files| fs::remove_file(&files[4]).unwrap());
    assert!(cut.chain.is_sound() && cut.chain.head != sound.head);
    let moved = chain_of(&|files| assert!(fs::copy(&files[0], &files[2]).unwrap() > 0));
    assert!(!moved.sound, "{moved:?}");
    // The first two segments expire; the report must not list them as missing.
    bench.clock.advance(30 * 24 * HOUR - 4 * HOUR - 2 * MINUTE + Duration::from_secs(1));
    let log = bench.open();
    log.tick();
    let left = files(&bench.log_dir(), "sealed").len();
    assert!((1..5).contains(&left), "{left}");
    let report = log.reader().verify();
    assert!(report.sound, "{report:?}");
    assert!(bench.clock.now() > START);
}

#[test]
fn a_flipped_bit_of_a_sealed_segment_is_never_a_wrong_record() {
    let bench = Bench::new();
    let log = filled(&bench, 1, 60);
    assert_eq!(seal(&log), 1);
    let written = rows(&log.reader(), &Filter::default(), Order::Asc);
    log.close();
    drop(log);
    let path = files(&bench.log_dir(), "sealed").remove(0);
    let whole = fs::read(&path).unwrap();
    let parity = parity_of(&path);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let reader = bench.read_only().unwrap();
        let mut search = reader.search(&Filter::default(), Order::Asc, None);
        let found: Vec<_> = search.by_ref().map(|row| row.unwrap().1).collect();
        assert_eq!(found, written, "byte {at}: one flip costs something");
        assert_eq!(search.outcome(), SearchOutcome::default(), "byte {at}");
        let report = &reader.verify().segments[0];
        let is_chunk = (FILE_HEADER_BYTES as usize..parity.start).contains(&at);
        assert_eq!((report.damaged, report.rebuilt), (is_chunk.into(), is_chunk.into()), "{at}");
        let is_reported = is_chunk || parity.contains(&at);
        assert_eq!(report.sound, !is_reported, "byte {at}: {report:?}");
        assert_eq!((report.lost_records, report.unreadable), (0, false), "byte {at}: {report:?}");
        assert_eq!(fs::read(&path).unwrap(), flipped, "byte {at}: something was changed");
    }
    let mut whole = whole;
    whole[parity].fill(0);
    let (mut most, mut unharmed) = (0, 0);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let reader = bench.read_only().unwrap();
        let mut search = reader.search(&Filter::default(), Order::Asc, None);
        let found: Vec<_> = search.by_ref().map(|row| row.unwrap().1).collect();
        assert!(found.iter().all(|row| written.contains(row)), "byte {at}: an invented row");
        let lost = written.len() - found.len();
        let outcome = search.outcome();
        let counted = outcome.damaged + outcome.unreadable_segments > 0;
        assert_eq!(lost > 0, counted, "byte {at}: a loss that is not counted");
        assert_eq!(outcome.unreadable_segments, 0, "byte {at}: all is lost");
        most = most.max(lost);
        unharmed += usize::from(lost == 0);
        assert_eq!(fs::read(&path).unwrap(), flipped, "byte {at}: something was changed");
    }
    println!(
        "{} bytes: {most} of {} rows lost at most, none at {unharmed}",
        whole.len(),
        written.len()
    );
    assert!(most < written.len(), "a chunk is not the file");
    fs::write(&path, &whole).unwrap();
    assert_eq!(rows(&bench.read_only().unwrap(), &Filter::default(), Order::Asc), written);
}

//! The log of a lost node is read from its copies: up to the newest copied frame, and what is not there is named.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    copied::{Copied, NODE, Op, copy, copy_options, ops},
    support::*,
};
use crate::{
    clock::{Clock as _, Hour, ManualClock, SharedClock, Timestamp},
    envelope::{KeyFiles, Keyring},
    handle::Handle,
    limits,
    object_storage::{StoreError, faulty::Fault},
    query_log::{
        Cursor, FetchError, Filter, FlipPart, FlipWindow, FromCopies as _, LogRow, LostLog,
        LostLogError, LostLogs, Order, QueryLog, SearchOutcome,
        flips_tests::{LIVE, REMOVED, asked, changed, handle},
    },
    vocabulary::{Cause, ChangeKind},
};

const RETENTION: Duration = Duration::from_secs(9 * 3600);
const BYTES: usize = limits::LOG_FLIPS_PARTS_BYTES_MAX;

fn copied() -> Copied {
    let mut copied = Copied::new();
    copied.bench.config.retention = RETENTION;
    copied
}

fn logs(copied: &Copied, dir: &Path, clock: SharedClock) -> LostLogs {
    let options = copy_options(&copied.store, Arc::new(|_| true));
    LostLogs::open(&options, dir.to_owned(), 0, clock, RETENTION).unwrap()
}

/// The copies of a log whose machine is lost.
struct Lost {
    folder: TempDir,
    logs: LostLogs,
    keyring: Arc<Keyring>,
}

impl Lost {
    fn of(copied: &Copied, keyring: Arc<Keyring>) -> Self {
        Self::at(copied, keyring, Arc::clone(&copied.bench.clock))
    }

    /// Those of a log whose machine is lost now.
    fn now(copied: &Copied, log: QueryLog) -> Self {
        let keyring = log.keyring();
        log.abandon();
        Self::of(copied, keyring)
    }

    /// As a machine reads them that has this clock.
    fn at(copied: &Copied, keyring: Arc<Keyring>, clock: Arc<ManualClock>) -> Self {
        let folder = TempDir::new().unwrap();
        let logs = logs(copied, &folder.path().join("lost"), clock);
        Self { folder, logs, keyring }
    }

    fn log(&self) -> LostLog {
        self.logs.of(NODE, Arc::clone(&self.keyring), &|| false).unwrap().unwrap()
    }

    fn read(&self, filter: &Filter, order: Order, after: Option<Cursor>) -> Read {
        let mut rows = self.log().search(filter, order, after, Arc::new(|| false));
        let found = rows.by_ref().collect::<Result<_, _>>().unwrap();
        Read { found, outcome: rows.outcome(), gaps: rows.gaps() }
    }

    fn all(&self) -> Read {
        self.read(&Filter::default(), Order::Asc, None)
    }

    /// The directories of fetched hours.
    fn directories(&self) -> usize {
        fs::read_dir(self.folder.path().join("lost")).map_or(0, Iterator::count)
    }
}

struct Read {
    found: Vec<(Cursor, LogRow)>,
    outcome: SearchOutcome,
    gaps: Vec<String>,
}

impl Read {
    fn numbers(&self) -> Vec<u64> {
        self.found.iter().map(|(_, row)| number(row)).collect()
    }

    fn is_whole(&self) -> bool {
        self.outcome == SearchOutcome::default() && self.gaps.is_empty()
    }
}

/// Everything in a log, with its places.
fn whole(log: &QueryLog) -> Vec<(Cursor, LogRow)> {
    log.reader().search(&Filter::default(), Order::Asc, None).map(Result::unwrap).collect()
}

/// A log after these operations.
fn history(copied: &Copied, ops: &[Op]) -> QueryLog {
    let (mut log, mut next) = (copied.open(), 0);
    for op in ops {
        log = op.apply(copied, log, &mut next);
    }
    copied.store.always(Fault::None);
    log
}

/// What is found is of the log, in its order. If nothing is named, it is all up to the newest copied record.
fn check(read: &Read, log: &[(Cursor, LogRow)], newest: Option<Timestamp>) {
    let mut rest = log.iter();
    assert!(read.found.iter().all(|row| rest.any(|of_log| of_log == row)), "{:?}", read.gaps);
    let last = read.found.last().map(|(_, row)| row.at);
    assert_eq!(last, newest);
    if read.is_whole() {
        let of_log = log.iter().filter(|(_, row)| Some(row.at) <= newest).count();
        assert_eq!(read.found.len(), of_log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_copies_are_the_log_up_to_the_newest_frame_or_name_what_they_lack(
        ops in ops(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let copied = copied();
        let log = history(&copied, &ops);
        let (all, keyring) = (whole(&log), log.keyring());
        log.abandon();
        let mut names = copied.names();
        names.retain(|it| it.split('/').count() == 4);
        for lost in lost {
            if !names.is_empty() {
                let name = names.remove(lost.index(names.len()));
                // Nothing tells of the last segment of an hour that it was there.
                let file = name.rsplit_once('/').unwrap().0;
                let is_only = names.iter().all(|other| !other.starts_with(file));
                if !is_only {
                    copied.store.objects().delete(&[name], &|| false).unwrap();
                }
            }
        }
        prop_assume!(!names.is_empty());
        let lost = Lost::of(&copied, keyring);
        let newest = lost.log().newest(&|| false).unwrap();
        let read = lost.all();
        check(&read, &all, newest);

        // The other order, pages, and the order of storage give the same rows.
        let mut newest_first = lost.read(&Filter::default(), Order::Desc, None);
        newest_first.found.reverse();
        prop_assert_eq!(&newest_first.found, &read.found);
        for place in [read.found.len() / 3, read.found.len() / 2] {
            if let Some((after, _)) = read.found.get(place) {
                let rest = lost.read(&Filter::default(), Order::Asc, Some(*after));
                prop_assert_eq!(&rest.found, &read.found[place + 1..]);
            }
        }
        let mut walk = lost.log().walk(&Filter::default(), Arc::new(|| false));
        let walked: BTreeSet<_> = walk.by_ref().map(|row| number(&row.unwrap().1)).collect();
        prop_assert_eq!(walked, read.numbers().into_iter().collect::<BTreeSet<_>>());
    }
}

/// What a log has of each handle, behind one.
fn flip_parts(log: &QueryLog, after: Option<Handle>) -> Vec<FlipPart> {
    let (window, mut parts) = (FlipWindow { after, ..FlipWindow::default() }, Vec::new());
    let each = &mut |part| {
        parts.push(part);
        true
    };
    log.reader().flip_parts(&window, &|| false, each).unwrap();
    parts
}

/// Changes, and lookups of a few handles by which they flip, in hours that were sealed and in one that was not.
fn flipping() -> (Copied, QueryLog) {
    let copied = copied();
    let log = copied.open();
    for n in 0..600 {
        let of = handle(n % 40);
        let is_blue = (n / 40).is_multiple_of(2);
        let (kind, cause) = match is_blue {
            true => (ChangeKind::HandleBound, Cause::Proof),
            false => (ChangeKind::HandleUnbound, Cause::SignOut),
        };
        let answer = if is_blue { LIVE } else { REMOVED };
        let records = [changed(&of, kind, cause), asked(&of, answer)];
        log.append_all(&records).unwrap().wait_blocking().unwrap();
        if n == 200 || n == 400 {
            copied.bench.clock.advance(HOUR + HOUR / 30);
            log.tick();
            assert_eq!(log.seal(&|| false).segments, 1);
        }
        if n % 100 == 99 {
            assert!(copy(&log).lag.is_zero());
        }
    }
    (copied, log)
}

#[test]
fn the_copies_have_the_flips_of_the_log() {
    let (copied, log) = flipping();
    let (all, lost) = (flip_parts(&log, None), Lost::of(&copied, log.keyring()));
    let after = Some(all[17].handle.clone());
    log.abandon();
    let parts_of = |window: FlipWindow| {
        let mut parts = lost.log().flip_parts(window, BYTES, Arc::new(|| false));
        let found: Vec<_> = parts.by_ref().collect::<Result<_, _>>().unwrap();
        (found, parts.outcome(), parts.gaps())
    };
    let whole = (SearchOutcome::default(), Vec::new());
    let steps: usize = all.iter().map(|part| part.steps.len()).sum();
    assert!((all.len(), steps) == (40, 1_200), "several ranges: {} {steps}", all.len());
    let (found, outcome, gaps) = parts_of(FlipWindow::default());
    assert!(found == all && (outcome, gaps) == whole);
    // Where a node went in the middle of its answer.
    let (found, outcome, gaps) = parts_of(FlipWindow { after, ..FlipWindow::default() });
    assert!(found == all[18..] && (outcome, gaps) == whole);

    // Each range meets the damage again.
    let frames = objects_of(&copied, ".frames/");
    let name = &frames[frames.len() / 2];
    let mut bytes = copied.store.contents()[name].to_vec();
    bytes[100] ^= 1;
    copied.store.replace(name, bytes.into());
    let damaged = || {
        let lost = Lost::of(&copied, Arc::clone(&lost.keyring));
        let mut parts = lost.log().flip_parts(FlipWindow::default(), BYTES, Arc::new(|| false));
        let found: Vec<_> = parts.by_ref().collect::<Result<_, _>>().unwrap();
        (found, parts.outcome(), parts.gaps(), lost.all())
    };
    let (found, outcome, gaps, read) = damaged();
    assert!(found != all && found.is_sorted_by(|a, b| a.handle < b.handle));
    assert!(gaps.len() == 1 && gaps == read.gaps, "{gaps:?}");
    assert!(outcome.damaged > 0);
    assert_eq!(outcome, read.outcome);

    // Nobody waits any more.
    let mut parts = lost.log().flip_parts(FlipWindow::default(), BYTES, Arc::new(|| true));
    assert!(parts.next().is_none_or(|part| part.is_err_and(|error| error.is_stop())));
}

/// Three hours of 50 records each, all copied: two sealed, and the last one as it is written.
fn three_hours() -> (Copied, QueryLog) {
    let copied = copied();
    let log = copied.open();
    for n in 0..150 {
        put(&log, &lookup(n));
        if n == 49 || n == 99 {
            copied.bench.clock.advance(HOUR + HOUR / 30);
            log.tick();
            assert_eq!(log.seal(&|| false).segments, 1);
        }
        if n % 10 == 9 {
            assert!(copy(&log).lag.is_zero());
        }
    }
    (copied, log)
}

fn objects_of(copied: &Copied, part: &str) -> Vec<String> {
    copied.names().into_iter().filter(|name| name.contains(part)).collect()
}

#[test]
fn only_hours_of_the_window_are_fetched_and_a_fetched_hour_is_used_again() {
    let (copied, log) = three_hours();
    let all = whole(&log);
    let lost = Lost::now(&copied, log);
    let second = all[50].0.hour();
    let filter =
        Filter { since: Some(second.start()), until: Some(second.end()), ..Filter::default() };
    let read = lost.read(&filter, Order::Asc, None);
    assert_eq!((read.found.as_slice(), read.is_whole()), (&all[50..100], true));
    assert_eq!(lost.directories(), 1);
    let calls = copied.store.calls();
    assert_eq!(lost.read(&filter, Order::Desc, None).found.len(), 50);
    assert_eq!(copied.store.calls(), calls, "neither listed nor fetched again");

    assert_eq!(lost.all().numbers(), (0..150).collect::<Vec<_>>());
    // On the disk lies what is encrypted, and of what was read only so much.
    let files = fs::read_dir(lost.folder.path().join("lost")).unwrap();
    let bytes = |dir: fs::DirEntry| {
        let files = fs::read_dir(dir.path()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
    };
    let bytes: u64 = files.map(|dir| bytes(dir.unwrap())).sum();
    assert!(bytes <= limits::LOST_LOG_KEPT_BYTES, "{bytes}");
    copied.bench.clock.advance(limits::LOST_LOG_KEPT_FOR);
    lost.logs.tick();
    assert_eq!(lost.directories(), 0);
    lost.all();
    assert!(lost.directories() > 0);
    lost.logs.clear();
    assert_eq!(lost.directories(), 0);
}

#[test]
fn what_a_former_process_fetched_is_removed_at_the_start() {
    let copied = copied();
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("lost");
    fs::create_dir_all(dir.join("7/fetching")).unwrap();
    fs::write(dir.join("7/0000498728-000001.frames"), "x").unwrap();
    logs(&copied, &dir, Arc::clone(&copied.bench.clock) as _);
    assert!(!dir.exists());
}

#[test]
fn damaged_and_missing_objects_are_counted_and_named() {
    let names = |copied: &Copied| (objects_of(copied, ".sealed/"), objects_of(copied, ".frames/"));
    let read_after = |damage: &dyn Fn(&Copied)| {
        let (copied, log) = three_hours();
        let lost = Lost::now(&copied, log);
        damage(&copied);
        lost.all()
    };
    assert!(read_after(&|_| {}).is_whole());
    let delete = |copied: &Copied, names: &[String]| {
        assert!(!names.is_empty());
        copied.store.objects().delete(names, &|| false).unwrap();
    };
    let first_hour = |name: &String| name.clone();
    // Bytes of a frame.
    let read = read_after(&|copied| {
        let (_, frames) = names(copied);
        copied.store.plant(&frames[2], b"not what it was");
    });
    assert!(read.gaps.len() == 1 && read.outcome.damaged > 0, "{:?}", read.gaps);
    // An object of frames.
    let read = read_after(&|copied| delete(copied, &names(copied).1[2..3]));
    assert!(read.gaps.len() == 1 && read.outcome.damaged > 0, "{:?}", read.gaps);
    // The last object of a sealed file.
    let read = read_after(&|copied| {
        let (sealed, _) = names(copied);
        let hour = first_hour(&sealed[0]).split('/').nth(1).unwrap().to_owned();
        let of_hour: Vec<_> = sealed.into_iter().filter(|name| name.contains(&hour)).collect();
        delete(copied, &of_hour[of_hour.len() - 1..]);
    });
    assert_eq!((read.gaps.len(), read.outcome.unreadable_segments), (1, 1));
    assert_eq!(read.numbers(), (50..150).collect::<Vec<_>>());
    // A whole hour: its key says that there was one.
    let read = read_after(&|copied| {
        let (sealed, _) = names(copied);
        let hour = sealed.last().unwrap().split('/').nth(1).unwrap().to_owned();
        let of_hour: Vec<_> = sealed.into_iter().filter(|name| name.contains(&hour)).collect();
        delete(copied, &of_hour);
    });
    assert_eq!(read.gaps.len(), 1, "{:?}", read.gaps);
    assert_eq!(read.found.len(), 100);
}

#[test]
fn a_segment_is_missed_by_its_number_and_by_the_one_that_was_sealed_after_it() {
    let copied = copied();
    let mut log = copied.open();
    for n in 0..4 {
        put(&log, &lookup(n));
        log = copied.restarted(log);
    }
    copied.bench.clock.advance(HOUR + HOUR / 30);
    put(&log, &lookup(4));
    copied.bench.clock.advance(HOUR + HOUR / 30);
    log.tick();
    assert_eq!(log.seal(&|| false).segments, 5);
    for _ in 0..3 {
        copy(&log);
    }
    let keyring = log.keyring();
    log.abandon();
    for (part, missing) in [("/000002-", "-000002"), ("/000004-", "-000004")] {
        let objects = objects_of(&copied, part);
        let contents = copied.store.contents();
        copied.store.objects().delete(&objects, &|| false).unwrap();
        let read = Lost::of(&copied, Arc::clone(&keyring)).all();
        assert_eq!((read.found.len(), read.outcome.unreadable_segments), (4, 1));
        assert!(read.gaps.len() == 1 && read.gaps[0].ends_with(missing), "{:?}", read.gaps);
        for name in objects {
            copied.store.objects().create(&name, contents[&name].clone()).unwrap();
        }
    }
    assert!(Lost::of(&copied, keyring).all().is_whole());
}

#[test]
fn what_is_missing_of_files_that_were_never_sealed_is_named() {
    let copied = copied();
    let mut log = copied.open();
    // Three files of one hour, and one of the next.
    for n in 0..40 {
        if n == 10 || n == 20 {
            log = copied.restarted(log);
        }
        if n == 30 {
            copied.bench.clock.advance(HOUR);
            log.tick();
        }
        put(&log, &lookup(n));
        assert!(copy(&log).lag.is_zero());
    }
    let keyring = log.keyring();
    log.abandon();
    let read_without = |objects: &[String]| {
        let contents = copied.store.contents();
        copied.store.objects().delete(objects, &|| false).unwrap();
        let read = Lost::of(&copied, Arc::clone(&keyring)).all();
        objects.iter().for_each(|name| copied.store.replace(name, contents[name].clone()));
        read
    };
    assert!(read_without(&[]).is_whole());
    let read = read_without(&objects_of(&copied, "/000002-"));
    assert_eq!((read.found.len(), read.outcome.unreadable_segments), (30, 1));
    assert!(read.gaps.len() == 1 && read.gaps[0].ends_with("-000002"), "{:?}", read.gaps);
    // The end of a file that another one follows.
    let third = objects_of(&copied, "/000003-");
    let read = read_without(&third[third.len() - 2..]);
    assert!(read.gaps.len() == 1 && read.gaps[0].ends_with("-000003"), "{:?}", read.gaps);
    assert!(read.outcome.damaged > 0 && read.found.len() < 40);
    // The end of the newest file was never copied, as far as anybody knows.
    let newest = objects_of(&copied, "/000001-");
    let read = read_without(&newest[newest.len() - 2..]);
    assert_eq!((read.is_whole(), read.found.len()), (true, 38));
    // What is left of an hour that has expired is read, and what is gone is not missed.
    let expiry = keyring.hours().first().unwrap().start().plus(RETENTION);
    let now = copied.bench.clock.latest();
    copied.bench.clock.advance(expiry.minus(limits::CLUSTER_ENTRY_AHEAD_MAX).since(now));
    let read = read_without(&objects_of(&copied, "/000002-"));
    assert_eq!((read.is_whole(), read.found.len()), (true, 30));
}

#[test]
fn without_a_key_an_hour_is_named_until_it_has_expired_and_then_nothing_is_left() {
    let (copied, log) = three_hours();
    let keyring = log.keyring();
    let lost = Lost::now(&copied, log);
    assert!(lost.all().is_whole());
    let first = *keyring.hours().first().unwrap();
    keyring.prune(&[first]).unwrap();
    let read = lost.all();
    assert_eq!((read.found.len(), read.outcome.unreadable_segments), (100, 1));
    assert!(!lost.log().is_ended(&|| false).unwrap());
    // What was fetched of an hour goes with its key.
    let kept = lost.directories();
    keyring.prune(&keyring.hours().into_iter().collect::<Vec<_>>()).unwrap();
    lost.logs.tick();
    assert!(kept > 0 && lost.directories() == 0);
    copied.bench.clock.advance(RETENTION);
    let read = lost.all();
    assert!(read.found.is_empty() && read.is_whole(), "{:?}", read.gaps);
}

#[test]
fn rows_expire_by_when_their_hour_was_here_whatever_the_lost_clock_said() {
    let days = 40;
    for ahead in [-24 * days, 0, 24 * days] {
        let (copied, log) = three_hours();
        let keys = log.keyring();
        log.abandon();
        // The clock of the lost machine was so many hours ahead.
        let began = |hour: Hour| Hour::from_number(hour.number().strict_add_signed(-ahead));
        let folder = TempDir::new().unwrap();
        let files = KeyFiles::new(&folder.path().join("keys"), None);
        let keyring =
            Arc::new(Keyring::open(Arc::clone(&copied.bench.disk), files, false).unwrap());
        let dated = keys.hours().into_iter().map(|it| (it, began(it), keys.get(it).unwrap()));
        keyring.replace_dated(dated).unwrap();
        let now = copied.bench.clock.now().moved(i64::from(-ahead) * 3_600_000_000);
        let clock = ManualClock::at(now);
        let lost = Lost::at(&copied, keyring, Arc::clone(&clock));
        let read = lost.all();
        assert_eq!((read.found.len(), read.is_whole()), (150, true), "{ahead}");
        // Before somebody destroys the keys.
        clock.advance(RETENTION + HOUR);
        assert!(lost.all().found.is_empty(), "{ahead}");
    }
}

#[test]
fn an_hour_that_expires_during_a_count_of_flips_is_no_damage() {
    let (copied, log) = flipping();
    let keys = log.keyring();
    log.abandon();
    let mut lost = Lost::of(&copied, Arc::clone(&keys)).log().flip_parts(
        FlipWindow::default(),
        BYTES,
        Arc::new(|| false),
    );
    // The first range is read.
    lost.next().unwrap().unwrap();
    let hours = keys.hours();
    let oldest = *hours.first().unwrap();
    let dated =
        hours.into_iter().filter(|it| *it != oldest).map(|it| (it, it, keys.get(it).unwrap()));
    keys.replace_dated(dated.collect::<Vec<_>>()).unwrap();
    lost.by_ref().for_each(|part| drop(part.unwrap()));
    assert_eq!((lost.outcome(), lost.gaps()), (SearchOutcome::default(), Vec::new()));
}

#[test]
fn copies_that_their_node_deleted_first_because_they_expired_are_no_damage() {
    let (copied, log) = three_hours();
    let lost = Lost::now(&copied, log);
    let oldest = *lost.keyring.hours().first().unwrap();
    let listed_before = lost.log();
    let objects = objects_of(&copied, &format!("{:010}", oldest.number()));
    copied.store.objects().delete(&objects, &|| false).unwrap();
    // (how long before the hour expires, whether its copies are missed)
    for (before, is_missed) in [(HOUR, true), (limits::CLUSTER_ENTRY_AHEAD_MAX, false)] {
        let now = copied.bench.clock.latest();
        copied.bench.clock.advance(oldest.start().plus(RETENTION).minus(before).since(now));
        for log in [listed_before.clone(), lost.log()] {
            let mut rows = log.search(&Filter::default(), Order::Asc, None, Arc::new(|| false));
            let numbers = rows.by_ref().map(|row| number(&row.unwrap().1));
            assert_eq!(numbers.collect::<Vec<_>>(), (50..150).collect::<Vec<_>>());
            let is_whole = rows.outcome() == SearchOutcome::default() && rows.gaps().is_empty();
            assert_eq!(is_whole, !is_missed, "{before:?}");
        }
    }
}

/// Closes a log and copies what is left, as a stop does.
fn stop(log: &QueryLog) {
    log.close();
    log.copy_last(&|| false);
}

#[test]
fn a_log_is_ended_by_a_stop_and_not_by_what_else_may_end_its_last_hour() {
    // (the end, whether it is one)
    type End = (fn(&Copied, &QueryLog), bool);
    let ends: [End; 6] = [
        (|_, log| stop(log), true),
        // The mark of an earlier stop: its creation hung, and the next start had nothing to delete.
        (
            |copied, log| {
                stop(log);
                copied.store.plant("n/stopped", b"0000000001-000001");
            },
            false,
        ),
        (|_, _| {}, false),
        // The hour rolls over, is sealed and copied, and then the process crashes.
        (
            |copied, log| {
                copied.bench.clock.advance(HOUR);
                log.tick();
                assert_eq!(log.seal(&|| false).segments, 1);
                copy(log);
            },
            false,
        ),
        // The store is away at the stop.
        (
            |copied, log| {
                put(log, &lookup(200));
                copied.store.always(Fault::LosesRequest);
                stop(log);
                copied.store.always(Fault::None);
            },
            false,
        ),
        // Not everything may be copied.
        (
            |_, log| {
                log.close();
                log.copy_last(&|| true);
            },
            false,
        ),
    ];
    for (number, (end, is_ended)) in ends.into_iter().enumerate() {
        let (copied, log) = three_hours();
        end(&copied, &log);
        let lost = Lost::now(&copied, log);
        assert_eq!(lost.log().is_ended(&|| false).unwrap(), is_ended, "{number}");
        assert!(lost.all().is_whole(), "{number}");
    }
}

#[test]
fn a_start_after_a_stop_begins_the_log_anew_also_without_the_store() {
    for is_away in [false, true] {
        let (copied, log) = three_hours();
        stop(&log);
        assert!(Lost::of(&copied, log.keyring()).log().is_ended(&|| false).unwrap());
        drop(log);
        let log = copied.open();
        if is_away {
            copied.bench.clock.advance(HOUR);
            copied.store.always(Fault::LosesRequest);
        }
        copy(&log);
        put(&log, &lookup(200));
        copied.store.always(Fault::None);
        let lost = Lost::now(&copied, log);
        assert!(!lost.log().is_ended(&|| false).unwrap(), "{is_away}");
    }
}

#[test]
fn a_stop_that_copies_nothing_of_its_last_file_leaves_no_mark() {
    let (copied, log) = three_hours();
    log.close();
    copy(&log);
    drop(log);
    // Another file of the same hour. All before it is copied, with its end.
    let log = copied.open();
    put(&log, &lookup(200));
    log.close();
    log.copy_last(&|| true);
    let lost = Lost::now(&copied, log);
    assert!(!lost.log().is_ended(&|| false).unwrap());
}

#[test]
fn an_hour_that_was_sealed_since_the_listing_is_listed_anew() {
    let (copied, log) = three_hours();
    let lost = Lost::of(&copied, log.keyring());
    let listed = lost.log();
    copied.bench.clock.advance(HOUR);
    log.tick();
    assert_eq!(log.seal(&|| false).segments, 1);
    // It copies the sealed file, and deletes the frames.
    copy(&log);
    copy(&log);
    log.abandon();
    let mut rows = listed.search(&Filter::default(), Order::Asc, None, Arc::new(|| false));
    assert_eq!(rows.by_ref().filter(|row| row.is_ok()).count(), 150);
    assert_eq!((rows.outcome(), rows.gaps()), Default::default());
}

#[test]
fn a_node_that_cannot_be_listed_keeps_no_other_unread() {
    let (copied, log) = three_hours();
    let lost = Lost::now(&copied, log);
    copied.store.plant("other-1/0000000001/000001-5f0c1d7be2a9446c.frames/000000000000", b"x");
    copied.store.refuse("other-1");
    lost.logs.of("other-1", Arc::clone(&lost.keyring), &|| false).unwrap_err();
    assert_eq!(lost.all().found.len(), 150);
    // The failure is remembered.
    let calls = copied.store.calls();
    lost.logs.of("other-1", Arc::clone(&lost.keyring), &|| false).unwrap_err();
    assert_eq!(copied.store.calls(), calls);
}

#[test]
fn a_store_that_fails_gives_its_error_once_and_then_the_records() {
    let (copied, log) = three_hours();
    let lost = Lost::now(&copied, log);
    copied.store.always(Fault::LosesRequest);
    let failed = || lost.logs.of(NODE, Arc::clone(&lost.keyring), &|| false).unwrap_err();
    assert!(matches!(failed(), StoreError::Failed(_)));
    let calls = copied.store.calls();
    failed();
    assert_eq!(copied.store.calls(), calls, "a store that hangs would be waited for again");
    copied.store.always(Fault::None);
    copied.bench.clock.advance(limits::LOST_LOG_RETRY_PAUSE);
    let log = lost.log();
    copied.store.always(Fault::LosesRequest);
    let mut rows = log.search(&Filter::default(), Order::Asc, None, Arc::new(|| false));
    let failed = rows.next().unwrap().unwrap_err();
    assert!(matches!(failed, LostLogError::Fetch(FetchError::Store(_))), "{failed}");
    assert!(rows.next().is_none(), "what follows would look like all");
    copied.store.always(Fault::None);
    assert!(lost.all().is_whole());
}

#[test]
fn nobody_waits_for_an_hour_that_nobody_wants_any_more() {
    let (copied, log) = three_hours();
    let lost = Lost::now(&copied, log);
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let stop = Arc::new(move || counted.fetch_add(1, Ordering::SeqCst) > 0);
    let mut rows = lost.log().search(&Filter::default(), Order::Asc, None, stop);
    let ended = rows.next().map(|row| row.unwrap_err().is_stop());
    assert_eq!(ended, Some(true));
    assert_eq!(lost.directories(), 0, "what was begun is removed");
}

#[test]
fn nobody_waits_for_a_listing_that_nobody_wants_any_more() {
    let (copied, log) = three_hours();
    let lost = Lost::of(&copied, log.keyring());
    log.abandon();
    copied.store.plan([Fault::Hangs, Fault::Hangs]);
    let began = Instant::now();
    assert_eq!(lost.logs.nodes(&|| true).err(), Some(StoreError::Stopped));
    let stopped = lost.logs.of(NODE, Arc::clone(&lost.keyring), &|| true);
    assert_eq!(stopped.err(), Some(StoreError::Stopped));
    assert!(began.elapsed() < limits::STORE_CALL_PATIENCE / 2);
    // Whoever waits gets an answer at once.
    assert!(lost.all().is_whole());
}

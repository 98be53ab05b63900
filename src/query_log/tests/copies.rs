//! Copies of the log in a store that loses requests and answers, lists late, hangs and overwrites.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::{
    copied::{CHECK, Copied, NODE, Op, copy, copy_options, ops},
    support::*,
};
use crate::{
    clock::{Clock as _, Hour},
    limits,
    object_storage::{
        StoreError,
        faulty::{Fault, FaultyStore},
    },
    query_log::{CopyFigures, ForgottenKind, LogOptions, QueryLog},
    shutdown::Shutdown,
};

#[test]
fn what_is_committed_is_copied_sealed_and_forgotten_with_its_key() {
    let copied = Copied::new();
    let log = copied.open();
    assert_eq!(copy(&log), CopyFigures::default());
    put(&log, &lookup(1));
    assert!(log.copy_figures().unwrap().lag.is_zero(), "no time has passed");
    copied.advance(3);
    assert_eq!(log.copy_figures().unwrap().lag, Duration::from_secs(3));
    let figures = copy(&log);
    assert_eq!((figures.lag, figures.objects, figures.error), (Duration::ZERO, 1, None));
    assert_eq!(copied.mirrored(&log), [1]);
    put(&log, &lookup(2));
    copy(&log);
    assert_eq!(copied.mirrored(&log), [1, 2]);
    let frames =
        |copied: &Copied| copied.names().iter().filter(|it| it.contains(".frames/")).count();
    assert_eq!(frames(&copied), 2, "each round makes an object");

    copied.advance(3_700);
    log.tick();
    copy(&log);
    assert_eq!(log.seal(&|| false).segments, 1);
    copy(&log);
    copy(&log);
    assert_eq!(frames(&copied), 0, "{:?}", copied.names());
    assert_eq!(copied.mirrored(&log), [1, 2]);
    assert!(log.copy_figures().unwrap().lag.is_zero());

    copied.advance(2 * 3600);
    // The key goes first.
    copied.store.always(Fault::LosesRequest);
    assert_eq!(log.tick().hours_destroyed, 1);
    let figures = copy(&log);
    assert!(figures.expired > 0 && figures.failures == 1, "{figures:?}");
    copied.store.always(Fault::None);
    let figures = copy(&log);
    assert_eq!((figures.expired, figures.error), (0, None));
    assert_eq!(copied.names(), [CHECK]);
    assert!(log.reader().prove_forgotten().unwrap().proved);
}

#[test]
fn an_object_that_is_not_deleted_keeps_no_other_one_there() {
    let copied = Copied::new();
    let log = copied.open();
    for number in 0..3 {
        put(&log, &lookup(number));
        copy(&log);
        copied.advance(3_600);
    }
    copied.advance(3 * 3_600);
    // It lists the store, so that the next round begins with the objects of the first hour.
    copy(&log);
    assert_eq!(log.tick().hours_destroyed, 3);
    copied.store.plan([Fault::Denies]);
    let figures = copy(&log);
    assert!(figures.error.is_some(), "{figures:?}");
    assert_eq!(copied.names().len(), 2, "{:?}", copied.names());
    assert_eq!(copy(&log).expired, 0);
}

#[test]
fn a_store_that_overwrites_is_refused() {
    let copied = Copied { store: FaultyStore::that_overwrites(), ..Copied::new() };
    let log = copied.open();
    put(&log, &lookup(1));
    let figures = copy(&log);
    assert_eq!(figures.error, Some(StoreError::Overwrites));
    assert_eq!(figures.objects, 0);
    assert_eq!(copied.names(), [CHECK]);
}

#[test]
fn an_object_with_other_bytes_stops_its_file_only() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copy(&log);
    let next = copied.plant_conflict();
    put(&log, &lookup(2));
    let figures = copy(&log);
    assert_eq!((figures.conflicts, figures.error), (1, None));
    let hours = |copied: &Copied| {
        let hour = |name: &String| name.split('/').nth(1)?.parse::<u32>().ok();
        let mut hours: Vec<_> = copied.names().iter().filter_map(hour).collect();
        hours.dedup();
        hours.len()
    };
    assert_eq!(hours(&copied), 1);
    copied.advance(3_700);
    put(&log, &lookup(3));
    // Another listing does not make the object a copy.
    let figures = copy(&log);
    assert_eq!((figures.conflicts, hours(&copied)), (1, 2));
    assert!(!figures.lag.is_zero());
    assert_eq!(copied.store.contents()[&next], "other", "it was not overwritten");
    // It goes with its hour.
    copied.advance(3 * 3600);
    log.tick();
    let figures = copy(&log);
    assert_eq!((figures.expired, figures.conflicts, figures.error), (0, 0, None));
    assert_eq!(copied.names(), [CHECK]);
}

#[test]
fn the_copies_of_a_conflict_go_with_their_hour_also_right_after_a_listing() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copy(&log);
    copied.plant_conflict();
    put(&log, &lookup(2));
    assert_eq!(copy(&log).conflicts, 1);
    // Listed here, and the hour expires an hour and a half later.
    copied.advance(3_700);
    assert_eq!(copy(&log).conflicts, 1);
    copied.advance(3_590);
    assert_eq!(log.tick().hours_destroyed, 1);
    copy(&log);
    assert_eq!(copied.names(), [CHECK]);
}

#[test]
fn a_conflict_that_no_listing_has_shown_goes_with_its_hour_too() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copy(&log);
    copied.advance(59 * 60);
    put(&log, &lookup(2));
    copied.may_copy.store(false, Ordering::SeqCst);
    copied.advance(6 * 60);
    // It lists the store, and the next time is an hour later.
    copy(&log);
    copied.plant_conflict();
    copied.may_copy.store(true, Ordering::SeqCst);
    copied.advance(60);
    assert_eq!(copy(&log).conflicts, 1);
    copied.advance(55 * 60);
    assert_eq!(log.tick().hours_destroyed, 1);
    copy(&log);
    assert_eq!(copied.names(), [CHECK]);
}

#[test]
fn an_object_whose_creation_got_no_answer_goes_with_its_hour() {
    let copied = Copied::new();
    let log = copied.open();
    copied.may_copy.store(false, Ordering::SeqCst);
    put(&log, &lookup(1));
    copied.advance(3_700);
    // The store is listed here, and not again before the hour expires.
    assert_eq!(copy(&log).error, None);
    copied.may_copy.store(true, Ordering::SeqCst);
    copied.store.plan([Fault::LosesAnswer]);
    assert!(copy(&log).error.is_some());
    copied.advance(3_590);
    assert_eq!(log.tick().hours_destroyed, 1);
    copy(&log);
    assert_eq!(copied.names(), [CHECK]);
}

#[test]
fn what_was_copied_under_a_former_name_goes_with_its_hour() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copy(&log);
    log.close();
    drop(log);
    let mut options = copy_options(&copied.store, Arc::new(|_| true));
    options.node = "m".to_owned();
    options.former = vec![NODE.to_owned()];
    let options = LogOptions { copies: Some(options), ..copied.bench.options() };
    let log = QueryLog::open(options, &Shutdown::new()).unwrap().0;
    copy(&log);
    let names = copied.names();
    let of = |node| names.iter().filter(|it| it.starts_with(node) && it.contains("frames")).count();
    assert_eq!((of("n/"), of("m/")), (1, 1));
    copied.advance(2 * 3600);
    assert_eq!(log.tick().hours_destroyed, 1);
    copy(&log);
    assert_eq!(copied.names(), ["m/refuses-overwriting", CHECK]);
}

#[test]
fn objects_that_cannot_be_listed_or_deleted_keep_nothing_from_being_copied() {
    let copied = Copied::new();
    for folder in ["other-1", "third-1"] {
        let name = format!("{folder}/0000000001/000001-5f0c1d7be2a9446c.frames/000000000000");
        copied.store.plant(&name, b"x");
    }
    copied.store.refuse("other-1");
    let log = copied.open();
    put(&log, &lookup(1));
    copied.advance(35 * 24 * 3600);
    put(&log, &lookup(2));
    log.forget_other_copies(&|| false);
    let figures = copy(&log);
    assert_eq!((figures.error, figures.lag), (None, Duration::ZERO));
    assert_eq!(figures.failures, 1, "that of the one folder");
    let has = |folder| copied.names().iter().any(|name| name.starts_with(folder));
    assert!(has("other-1") && !has("third-1"), "{:?}", copied.names());
    // What is known to be left stays known while it cannot be listed.
    for refused in ["other-1/", "other-1"] {
        copied.store.refuse(refused);
        log.forget_other_copies(&|| false);
        assert_eq!(log.copy_figures().unwrap().expired, 1, "{refused}");
    }
    copied.store.refuse("");
    log.forget_other_copies(&|| false);
    assert!(!has("other-1"));
    assert_eq!(log.copy_figures().unwrap().expired, 0);
}

#[test]
fn an_hour_is_copied_once_it_may_be() {
    let copied = Copied::new();
    let log = copied.open();
    copied.may_copy.store(false, Ordering::SeqCst);
    put(&log, &lookup(1));
    copied.advance(60);
    let figures = copy(&log);
    assert_eq!((figures.objects, figures.lag), (0, Duration::from_secs(60)));
    copied.may_copy.store(true, Ordering::SeqCst);
    assert_eq!(copy(&log).lag, Duration::ZERO);
    assert_eq!(copied.mirrored(&log), [1]);
}

#[test]
fn nothing_waits_for_a_store_that_hangs() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copy(&log);
    copied.store.always(Fault::Hangs);
    put(&log, &lookup(2));
    let calls = copied.store.calls();
    let copying = {
        let log = log.clone();
        thread::spawn(move || log.copy(&|| false))
    };
    while copied.store.calls() == calls {
        thread::yield_now();
    }
    let began = Instant::now();
    put(&log, &lookup(3));
    copied.advance(3_700);
    log.tick();
    assert_eq!(log.seal(&|| false).segments, 1);
    copied.advance(2 * 3600);
    assert_eq!(log.tick().hours_destroyed, 1);
    assert!(!log.copy_figures().unwrap().lag.is_zero() || log.reader().segments().is_empty());
    // Long before the patience with a call ends.
    assert!(began.elapsed() < limits::STORE_CALL_PATIENCE);
    copied.store.always(Fault::None);
    while !copying.is_finished() {
        copied.store.release();
        thread::yield_now();
    }
    copying.join().unwrap();
    // What the call has created of the expired hour does not stay.
    copy(&log);
    assert_eq!(copied.names(), [CHECK]);
}

#[test]
fn a_stop_ends_the_wait_for_a_store_that_hangs() {
    type Round = fn(&QueryLog, &dyn Fn() -> bool);
    let (copy_round, other_round): (Round, Round) =
        (|log, stop| log.copy(stop), |log, stop| log.forget_other_copies(stop));
    // The deletion of the mark of a stop and the listing, behind two tries to create the probe; the list of folders, and of one of them.
    for (round, calls) in [(copy_round, 2), (copy_round, 3), (other_round, 0), (other_round, 1)] {
        let copied = Copied::new();
        let log = copied.open();
        put(&log, &lookup(1));
        copied.store.plant("other/x", b"x");
        copied.store.plan((0..calls).map(|_| Fault::None).chain([Fault::Hangs]));
        let (stop, began) = (AtomicBool::new(false), Instant::now());
        thread::scope(|scope| {
            scope.spawn(|| round(&log, &|| stop.load(Ordering::SeqCst)));
            while copied.store.calls() <= calls {
                thread::yield_now();
            }
            stop.store(true, Ordering::SeqCst);
        });
        assert!(began.elapsed() < limits::STORE_CALL_PATIENCE / 2, "{calls}");
        assert_eq!(log.copy_figures().unwrap().failures, 0, "a stop is no failure");
        assert_eq!(copy(&log).objects, 1, "and puts nothing off");
    }
}

#[test]
fn the_pauses_after_failures_grow_and_end() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copied.store.always(Fault::LosesRequest);
    let mut tries = Vec::new();
    for second in 0..200 {
        let calls = copied.store.calls();
        copy(&log);
        if copied.store.calls() > calls {
            tries.push(second);
        }
        copied.advance(1);
    }
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..5], [1, 5, 15, 30, 30], "{pauses:?}");
    copied.store.always(Fault::None);
    copied.advance(30);
    assert_eq!(copy(&log).lag, Duration::ZERO);
}

#[test]
fn credentials_that_were_replaced_are_read_again() {
    let copied = Copied::new();
    let opened = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (store, counted) = (copied.store.clone(), Arc::clone(&opened));
    let mut options = copy_options(&store, Arc::new(|_| true));
    options.open = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(store.objects())
    });
    let options = LogOptions { copies: Some(options), ..copied.bench.options() };
    let log = QueryLog::open(options, &Shutdown::new()).unwrap().0;
    put(&log, &lookup(1));
    copy(&log);
    copied.store.always(Fault::Denies);
    put(&log, &lookup(2));
    assert_eq!(copy(&log).error, Some(StoreError::Denied));
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    copied.store.always(Fault::None);
    assert_eq!(copy(&log).error, None);
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[test]
fn copies_of_expired_hours_are_found_and_a_store_that_is_not_listed_proves_nothing() {
    let copied = Copied::new();
    let log = copied.open();
    put(&log, &lookup(1));
    copy(&log);
    let report = log.reader().prove_forgotten().unwrap();
    assert!(report.proved && report.copies == Some(1), "{report:?}");
    copied.store.always(Fault::LosesAnswer);
    let report = log.reader().prove_forgotten().unwrap();
    assert!(!report.proved && report.copies.is_none(), "{report:?}");
    assert_eq!(report.findings[0].what, ForgottenKind::Store);
    copied.store.always(Fault::None);

    // A lost node's, which any node deletes two days later than it would have.
    let hour = START.hour(copied.bench.clock.stamp().1).number();
    let lost = format!("lost-1/{hour:010}/000001-5f0c1d7be2a9446c.frames/000000000000");
    copied.store.plant(&lost, b"x");
    copied.store.plant("n/strange", b"x");
    copied.store.plant("another-program/file", b"x");
    copied.advance(2 * 3600 + 600);
    log.tick();
    let report = log.reader().prove_forgotten().unwrap();
    let found: Vec<_> = report.findings.iter().map(|it| it.name.as_str()).collect();
    assert!(!report.proved && found.len() == 2 && found.contains(&"n/strange"), "{found:?}");
    let forget = || log.forget_other_copies(&|| false);
    copy(&log);
    forget();
    copied.advance(31 * 24 * 3600);
    forget();
    assert!(copied.store.contents().contains_key(&lost));
    copied.advance(22 * 3600);
    let found = log.reader().prove_forgotten().unwrap().findings;
    assert!(found.iter().all(|it| it.name != lost), "each node has an hour for it: {found:?}");
    copied.store.always(Fault::LosesRequest);
    forget();
    assert!(copied.store.contents().contains_key(&lost));
    copied.store.always(Fault::None);
    // It failed, so it is tried again at once.
    forget();
    assert!(!copied.store.contents().contains_key(&lost));
    assert!(copied.store.contents().contains_key("another-program/file"));
}

/// Whatever happened: after a round without an error the store has every record that was committed when it began.
fn check_copies(copied: &Copied, log: &QueryLog) {
    let keyring = log.keyring();
    let alive = keyring.hours();
    assert_eq!(copied.mirrored(log), numbers(&log.reader()));
    for name in copied.names().iter().filter(|name| *name != CHECK) {
        let hour = name.split('/').nth(1).unwrap().parse().unwrap();
        assert!(alive.contains(&Hour::from_number(hour)), "{name} has no key");
    }
}

fn run(ops: &[Op]) {
    let copied = Copied::new();
    let (mut log, mut next) = (copied.open(), 0);
    for op in ops {
        log = op.apply(&copied, log, &mut next);
        if matches!(op, Op::Copy) {
            let figures = log.copy_figures().unwrap();
            assert_eq!(figures.conflicts, 0);
            if figures.lag.is_zero() && figures.error.is_none() {
                copied.store.always(Fault::None);
                assert_eq!(copied.mirrored(&log), numbers(&log.reader()));
            }
        }
    }
    // A process that begins anew knows nothing of the store but what it lists.
    for _ in 0..2 {
        copied.store.always(Fault::None);
        copied.advance(31);
        log.tick();
        let figures = copy(&log);
        assert_eq!((figures.lag, figures.error), (Duration::ZERO, None));
        check_copies(&copied, &log);
        log = copied.crashed(log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_every_record_in_the_store_and_nothing_that_has_expired(ops in ops()) {
        run(&ops);
    }
}

//! Like lookups are one entry, as long as nothing changes.

use super::*;
use crate::limits;

fn lookups(entry: &Entry) -> &LookupsEntry {
    match entry {
        Entry::Lookups(lookups) => lookups,
        Entry::Change(change) => panic!("a change: {}", change.sentence),
    }
}

#[test]
fn a_run_is_one_entry_with_count_first_last_and_askers() {
    let rows: Vec<_> = (0..10)
        .map(|n| asked(&format!("10:00:{n:02}"), 20 + n % 3, Reason::NeverRegistered))
        .collect();
    let (told, summary) = entries(&question(HANDLE), "15:00:00", &rows);
    let [entry] = &told[..] else { panic!("{told:?}") };
    let run = lookups(entry);
    assert_eq!((run.count, run.askers, run.askers_at_least), (10, 3, false));
    assert_eq!((run.at, run.last), (at("10:00:00"), at("10:00:09")));
    assert_eq!(run.devices.len(), 3);
    assert!(run.sentence.starts_with(
        "green 10 times from 10:00:00 to 10:00:09, asked by 3 devices: nobody ever proved it"
    ));
    assert_eq!((summary.lookups, summary.changes), (10, 0));
    let alone = Question { detail: Detail::All, ..question(HANDLE) };
    assert_eq!(entries(&alone, "15:00:00", &rows).0.len(), 10);
}

#[test]
fn refusals_fold_beside_answers_and_a_change_ends_every_run() {
    let rows = [
        asked("10:00:00", 20, Reason::NeverRegistered),
        asked("10:00:01", 21, Reason::Refused(ProblemCode::RateLimited)),
        asked("10:00:02", 20, Reason::NeverRegistered),
        asked("10:00:03", 21, Reason::Refused(ProblemCode::RateLimited)),
        change("10:00:04", ChangeKind::HandleBound, Cause::Proof),
        asked("10:00:05", 21, Reason::Refused(ProblemCode::RateLimited)),
        asked("10:00:06", 20, Reason::LiveDevice),
    ];
    let (told, _) = entries(&question(HANDLE), "15:00:00", &rows);
    let counts: Vec<_> = told
        .iter()
        .map(|entry| match entry {
            Entry::Lookups(run) => (run.reason.code(), run.count),
            Entry::Change(entry) => (entry.change.change.code(), 0),
        })
        .collect();
    let expected = [
        ("never-registered", 2),
        ("rate-limited", 2),
        ("handle-bound", 0),
        ("rate-limited", 1),
        ("live-device", 1),
    ];
    assert_eq!(counts, expected);
}

#[test]
fn an_answer_that_differs_ends_a_run_though_no_change_is_recorded() {
    let rows = [
        asked("10:00:00", 20, Reason::LiveDevice),
        asked("10:00:01", 20, Reason::LeaseExpired),
        asked("10:00:02", 20, Reason::LiveDevice),
        asked("10:00:03", 20, Reason::LiveDevice),
    ];
    let (told, _) = entries(&question(HANDLE), "15:00:00", &rows);
    let counts: Vec<_> = told.iter().map(|entry| lookups(entry).count).collect();
    assert_eq!(counts, [1, 1, 2]);
}

#[test]
fn what_the_holder_asks_of_its_hidden_handle_is_a_run_of_its_own() {
    let rows = [
        change("09:00:00", ChangeKind::HandleBound, Cause::Proof),
        change("09:30:00", ChangeKind::HandleHidden, Cause::OwnerRequest),
        asked("10:00:00", 20, Reason::Undiscoverable),
        asked("10:00:01", ANN, Reason::LiveDevice),
        asked("10:00:02", 20, Reason::Undiscoverable),
        asked("10:00:03", ANN, Reason::LiveDevice),
    ];
    let (told, summary) = entries(&question(HANDLE), "10:00:10", &rows);
    assert_eq!(told.len(), 4, "{told:?}");
    let (stranger, own) = (lookups(&told[2]), lookups(&told[3]));
    assert_eq!((stranger.count, stranger.by_its_owner), (2, false));
    assert_eq!((own.count, own.by_its_owner), (2, true));
    assert!(own.sentence.ends_with("; asked by the account that holds it"));
    // What its holder was told of it does not make it blue to strangers, nor the holder wrong.
    assert_eq!(summary.reason, Some(Reason::Undiscoverable));
    assert_eq!(summary.holders_count, 0);
}

#[test]
fn more_askers_than_are_counted_are_at_least_as_many() {
    let most = limits::TIMELINE_ASKERS_MAX as u64;
    let more = most + 12;
    let rows = crowd("10:00:00", 20..20 + more, Reason::NeverRegistered);
    let (told, _) = entries(&question(HANDLE), "15:00:00", &rows);
    let run = lookups(&told[0]);
    assert_eq!((run.count, run.askers, run.askers_at_least), (more, most, true));
    assert_eq!(run.devices.len(), limits::TIMELINE_ASKERS_NAMED_MAX);
    assert!(run.sentence.contains(&format!("at least {most} devices")));
}

#[test]
fn a_window_leaves_out_entries_but_not_what_led_to_them() {
    let rows = signed_out();
    let window =
        Question { since: Some(at("14:00:00")), until: Some(at("14:30:00")), ..question(HANDLE) };
    let (sentences, summary) = explained(&window, "15:00:00", &rows);
    assert_eq!(
        sentences,
        ["green at 14:02:11: its last device signed out at 13:58:40, by its owner"]
    );
    assert_eq!((summary.lookups, summary.changes), (1, 0));
    // The instant itself is in it as `since`, and not as `until`.
    let window =
        Question { since: Some(at("13:58:40")), until: Some(at("14:02:11")), ..question(HANDLE) };
    assert_eq!(explained(&window, "15:00:00", &rows).0.len(), 1);
}

//! The present, and moments that are past.

use super::*;

fn at_moment(moment: &str) -> Summary {
    let question = Question { at: Some(at(moment)), ..question(HANDLE) };
    let (sentences, summary) = explained(&question, "15:00:00", &signed_out());
    let before = signed_out().iter().filter(|row| row.at <= at(moment)).count();
    // The two that were told blue are one entry.
    assert_eq!(sentences.len(), before.saturating_sub(usize::from(before >= 3)));
    summary
}

#[test]
fn a_moment_is_explained_by_what_came_before_it() {
    let before = at_moment("09:00:00");
    assert_eq!((before.route, before.from), (None, Source::Log));
    assert!(before.last_change.is_none() && before.last_lookup.is_none());
    assert!(before.sentence.starts_with("unknown at 09:00:00: the log has nothing"));

    let between = at_moment("13:50:00");
    assert_eq!(
        between.sentence,
        "blue at 13:50:00: a live device backs it (bound 09:12:03 by proof); so since 09:12:03, \
         as far as the log shows"
    );
    let told = between.last_lookup.unwrap();
    assert!(told.sentence().starts_with("blue at 13:40:00: "), "{}", told.sentence());
    assert!(between.last_change.unwrap().sentence().starts_with("09:12:03: "));
    assert_eq!(between.holders_count, 0);

    let after = at_moment("14:00:00");
    assert_eq!(
        after.sentence,
        "green at 14:00:00: its last device signed out at 13:58:40, by its owner; so since \
         13:58:40, as far as the log shows"
    );
    assert_eq!(after.holders_count, 2);
    assert_eq!(after.because.unwrap().cause, "sign-out");
    assert!(after.last_lookup.unwrap().sentence().starts_with("blue at 13:40:00"));
}

#[test]
fn the_instant_of_a_change_is_after_it() {
    assert_eq!(at_moment("13:58:40").route, Some("sms"));
    assert_eq!(at_moment("13:58:39").route, Some("imessage"));
}

#[test]
fn entries_after_the_moment_are_told_if_asked_for() {
    let wider =
        Question { at: Some(at("13:50:00")), until: Some(at("15:00:00")), ..question(HANDLE) };
    let (sentences, summary) = explained(&wider, "15:00:00", &signed_out());
    assert_eq!(sentences.len(), 4);
    assert_eq!((summary.route, summary.at), (Some("imessage"), at("13:50:00")));
    let seen = summary.last_lookup.unwrap();
    assert!(seen.sentence().starts_with("blue at 13:40:00"));
}

#[test]
fn the_registry_decides_the_present_and_the_log_says_how_it_came() {
    let ask = |reason, route, rows: &[LogRow]| {
        let mut timeline = Timeline::new(&question(HANDLE), REUSE, at("14:30:00"));
        rows.iter().for_each(|row| timeline.row(row, &mut Vec::new()));
        let present = Present {
            at: at("14:30:01"),
            route,
            reason,
            holder: None,
            through: None,
            since: None,
            live_until: None,
        };
        timeline.finish(Some(&[present]), &mut Vec::new())
    };
    let agreed = ask(Reason::DeviceRemoved, Route::Sms, &signed_out());
    assert_eq!((agreed.from, agreed.at), (Source::Registry, at("14:30:01")));
    assert_eq!(
        agreed.sentence,
        "green at 14:30:01: its last device signed out at 13:58:40, by its owner; so since 13:58:40"
    );
    assert_eq!(agreed.holders_count, 1);
    // What an import brought in is not in the log.
    let imported = ask(Reason::LiveDevice, Route::Imessage, &signed_out());
    assert_eq!(imported.since, None);
    assert!(imported.sentence.contains("or by an import)"), "{}", imported.sentence);
    assert_eq!(imported.holders_count, 0);
    let nothing = ask(Reason::NeverRegistered, Route::Sms, &[]);
    assert!(nothing.sentence.ends_with("; nothing about it is in the log"), "{}", nothing.sentence);
}

#[test]
fn a_newer_proof_ends_what_was_hidden() {
    let rows = [
        change("09:00:00", ChangeKind::HandleBound, Cause::Proof),
        asked("10:00:00", 20, Reason::Undiscoverable),
        change_of(HANDLE, at("10:30:00"), (ChangeKind::HandleBound, Cause::Linked), (2, ANN)),
        change_of(HANDLE, at("11:00:00"), (ChangeKind::HandleMoved, Cause::NewerProof), (3, 300)),
    ];
    let reason = |rows| explained(&question(HANDLE), "15:00:00", rows).1.reason;
    assert_eq!(reason(&rows[..3]), Some("undiscoverable"));
    assert_eq!(reason(&rows), Some("live-device"));
}

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
    assert!(before.sentence.starts_with("unknown at 2026-11-23 09:00:00: the log has nothing"));

    let between = at_moment("13:50:00");
    assert_eq!(
        between.sentence,
        "blue at 2026-11-23 13:50:00, since 09:12:03: a live device backs it (bound 09:12:03 by proof)"
    );
    let told = between.last_lookup.unwrap();
    assert!(told.sentence().starts_with("blue at 13:40:00: "), "{}", told.sentence());
    assert!(between.last_change.unwrap().sentence().starts_with("09:12:03: "));
    assert_eq!(between.holders_count, 0);

    let after = at_moment("14:00:00");
    assert_eq!(
        after.sentence,
        "green at 2026-11-23 14:00:00, since 13:58:40: its last device signed out at 13:58:40, by \
         its owner"
    );
    assert_eq!(after.holders_count, 2);
    assert_eq!(after.because.unwrap().cause, Cause::SignOut);
    assert!(after.last_lookup.unwrap().sentence().starts_with("blue at 13:40:00"));
}

#[test]
fn a_moment_of_another_day_has_dates_throughout() {
    let now = at("15:00:00").plus(Duration::from_secs(86_400));
    let mut timeline =
        Timeline::new(&Question { at: Some(at("14:00:00")), ..question(HANDLE) }, REUSE, now);
    let mut out = Vec::new();
    signed_out().iter().for_each(|row| timeline.row(row, &mut out));
    let summary = timeline.finish(None, Default::default(), &mut out);
    let date = "2026-11-23";
    assert!(out[0].sentence().starts_with(&format!("{date} 09:12:03: ")), "{out:?}");
    assert!(out[1].sentence().contains(&format!("from {date} 13:30:00 to {date} 13:40:00")));
    assert_eq!(
        summary.sentence,
        format!(
            "green at {date} 14:00:00, since {date} 13:58:40: its last device signed out at {date} \
             13:58:40, by its owner"
        )
    );
    assert!(summary.holders[0].sentence.contains(&format!("until {date} 14:")), "{summary:?}");
}

#[test]
fn the_instant_of_a_change_is_after_it() {
    assert_eq!(at_moment("13:58:40").route, Some(Route::Sms));
    assert_eq!(at_moment("13:58:39").route, Some(Route::Imessage));
}

#[test]
fn entries_after_the_moment_are_shown_if_asked_for() {
    let wider =
        Question { at: Some(at("13:50:00")), until: Some(at("15:00:00")), ..question(HANDLE) };
    let (sentences, summary) = explained(&wider, "15:00:00", &signed_out());
    assert_eq!(sentences.len(), 4);
    assert_eq!((summary.route, summary.at), (Some(Route::Imessage), at("13:50:00")));
    let seen = summary.last_lookup.unwrap();
    assert!(seen.sentence().starts_with("blue at 13:40:00"));
}

#[test]
fn the_registry_decides_the_present_and_the_log_says_how_it_came() {
    let ask = |reason, route, rows: &[LogRow]| {
        let mut timeline = Timeline::new(&question(HANDLE), REUSE, at("14:30:00"));
        rows.iter().for_each(|row| timeline.row(row, &mut Vec::new()));
        let present = Preview {
            at: at("14:30:01"),
            decision: Decision { route, reason, account: None, expires_in: Duration::ZERO },
            holder: None,
            through: None,
            since: None,
            live_until: None,
        };
        timeline.finish(Some(&[present]), Default::default(), &mut Vec::new())
    };
    let agreed = ask(Reason::Lost(HandleLoss::DeviceRemoved), Route::Sms, &signed_out());
    assert_eq!((agreed.from, agreed.at), (Source::Registry, at("14:30:01")));
    assert_eq!(
        agreed.sentence,
        "green since 13:58:40: its last device signed out at 13:58:40, by its owner"
    );
    assert_eq!(agreed.holders_count, 1);
    // A record that was damaged is not read.
    let damaged = ask(Reason::LiveDevice, Route::Imessage, &signed_out());
    assert_eq!(damaged.since, None);
    let bound = "(the log shows no binding since 13:58:40: was the registry restored?)";
    let at = "blue at 14:30:01: ";
    assert!(damaged.sentence.contains(bound) && damaged.sentence.starts_with(at), "{damaged:?}");
    assert_eq!(damaged.holders_count, 0);
    let nothing = ask(Reason::NeverRegistered, Route::Sms, &[]);
    assert!(nothing.sentence.ends_with("; nothing about it is in the log"), "{}", nothing.sentence);
}

#[test]
fn a_newer_proof_ends_what_was_hidden() {
    let rows = [
        change("09:00:00", ChangeKind::HandleBound, Cause::Proof),
        change("10:00:00", ChangeKind::HandleHidden, Cause::OwnerRequest),
        change_of(HANDLE, at("10:30:00"), (ChangeKind::HandleBound, Cause::Linked), (2, ANN)),
        change_of(HANDLE, at("11:00:00"), (ChangeKind::HandleMoved, Cause::NewerProof), (3, 300)),
    ];
    let reason = |rows| explained(&question(HANDLE), "15:00:00", rows).1.reason;
    assert_eq!(reason(&rows[..3]), Some(Reason::Undiscoverable));
    assert_eq!(reason(&rows), Some(Reason::LiveDevice));
}

#[test]
fn only_what_began_before_the_log_is_said_as_far_as_the_log_shows() {
    let said = |rows: &[LogRow]| {
        let sentence = explained(&question(HANDLE), "15:00:00", rows).1.sentence;
        sentence.ends_with(", as far as the log shows")
    };
    let away = change("13:58:40", ChangeKind::HandleUnbound, Cause::SignOut);
    let live = asked("13:00:00", 20, Reason::LiveDevice);
    // Another of its devices may back it still, by a binding that is forgotten.
    assert!(said(std::slice::from_ref(&away)) && said(std::slice::from_ref(&live)));
    for (kind, cause) in [
        (ChangeKind::HandleBound, Cause::Proof),
        (ChangeKind::HandleMoved, Cause::NewerProof),
        (ChangeKind::HandleImported, Cause::Import),
    ] {
        let begun = change("12:00:00", kind, cause);
        assert!(!said(&[begun, live.clone(), away.clone()]), "{kind}");
    }
    assert!(said(&[change("12:00:00", ChangeKind::HandleBound, Cause::Linked), live.clone()]));
    let taken_back = change("14:00:00", ChangeKind::HandleDeregistered, Cause::Deregistration);
    assert!(!said(&[live, taken_back]));
}

#[test]
fn an_answer_counts_only_where_it_contradicts_the_changes() {
    let bound = change("09:00:00", ChangeKind::HandleBound, Cause::Proof);
    // The lease lapsed before its record.
    let seen = asked("13:00:00", 20, Reason::LeaseExpired);
    let rows = [bound, seen, change("13:00:40", ChangeKind::LeaseExpired, Cause::Silence)];
    for end in 2..=3 {
        let (_, summary) = explained(&question(HANDLE), "15:00:00", &rows[..end]);
        assert_eq!((summary.reason, summary.since_at_latest), (Some(Reason::LeaseExpired), true));
        assert_eq!(summary.since, Some(at("13:00:00")));
    }
}

#[test]
fn a_large_import_is_a_possible_beginning() {
    let mut timeline = Timeline::new(&question(HANDLE), REUSE, at("15:00:00"));
    let row = asked("13:00:00", 20, Reason::LiveDevice);
    assert!(timeline.needs_bulk_imports(&row));
    timeline.set_bulk_imports(vec![at("09:00:00"), at("12:00:00"), at("14:00:00")]);
    assert!(!timeline.needs_bulk_imports(&row));
    let mut out = Vec::new();
    timeline.row(&row, &mut out);
    let summary = timeline.finish(None, Default::default(), &mut out);
    let bound =
        "a live device backs it (bound before what the log still holds, or by the import of";
    assert_eq!(out[0].sentence(), format!("blue at 13:00:00: {bound} 12:00:00)"));
    assert_eq!(
        summary.sentence,
        format!("blue since 13:00:00 or earlier: {bound} 14:00:00), as far as the log shows")
    );
    // After an end nothing but an import can have bound it.
    let mut timeline = Timeline::new(&question(HANDLE), REUSE, at("15:00:00"));
    for (imported, bound) in [
        (at("13:58:39"), "the log shows no binding since 13:58:40: was the registry restored?"),
        (at("13:59:00"), "bound by the import of 13:59:00"),
    ] {
        timeline.set_bulk_imports(vec![imported]);
        let mut out = Vec::new();
        signed_out().iter().for_each(|row| timeline.row(row, &mut out));
        timeline.row(&asked("14:30:00", 20, Reason::LiveDevice), &mut out);
        timeline.close(&mut out);
        let last = out.last().unwrap().sentence();
        assert_eq!(last, format!("blue at 14:30:00: a live device backs it ({bound})"));
    }
}

#[test]
fn entries_and_summaries_are_read_back_as_they_were() {
    let (entries, summary) = entries(&question(HANDLE), "15:00:00", &signed_out());
    let json = serde_json::to_string(&(&entries, &summary)).unwrap();
    assert_eq!(serde_json::from_str::<(Vec<Entry>, Summary)>(&json).unwrap(), (entries, summary));
}

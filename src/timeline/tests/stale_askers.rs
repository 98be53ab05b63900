//! Who goes by an answer that is wrong by now.

use super::*;
use crate::limits;

fn holders(now: &str, rows: &[LogRow]) -> Vec<(u64, String)> {
    let summary = explained(&question(HANDLE), now, rows).1;
    assert_eq!(summary.holders_count, summary.holders.len() as u64);
    let of = |holder: Holder| {
        (holder.device.bits(), holder.until_at_most.to_string()[11..19].to_owned())
    };
    summary.holders.into_iter().map(of).collect()
}

#[test]
fn an_asker_with_another_answer_within_its_time_is_named() {
    let rows = signed_out();
    assert_eq!(holders("14:10:00", &rows), [(21, "14:40:00".to_owned())]);
    let summary = explained(&question(HANDLE), "14:10:00", &rows).1;
    assert_eq!(
        summary.holders[0].sentence,
        "device d_000000000001a was told blue at 13:40:00 and may go by it until 14:40:00 at most"
    );
    // To the microsecond; the other was told the truth meanwhile.
    assert_eq!(holders("14:39:59", &rows).len(), 1);
    assert_eq!(holders("14:40:00", &rows), []);
}

#[test]
fn green_is_held_for_a_shorter_time() {
    let rows = [
        asked("10:00:00", 20, Reason::NeverRegistered),
        change("10:01:00", ChangeKind::HandleBound, Cause::Proof),
    ];
    assert_eq!(holders("10:04:59", &rows), [(20, "10:05:00".to_owned())]);
    assert_eq!(holders("10:05:00", &rows), []);
}

#[test]
fn a_refusal_leaves_an_asker_with_its_former_answer() {
    let mut rows = signed_out();
    rows.push(asked("14:05:00", 21, Reason::Refused(ProblemCode::RateLimited)));
    assert_eq!(holders("14:10:00", &rows).len(), 1);
    rows.push(asked("14:06:00", 21, Reason::Lost(HandleLoss::DeviceRemoved)));
    assert_eq!(holders("14:10:00", &rows), []);
}

#[test]
fn what_became_true_again_is_not_wrong() {
    let mut rows = signed_out();
    rows.push(change("14:05:00", ChangeKind::HandleBound, Cause::Proof));
    // Blue again: now it is the one told green who is wrong.
    assert_eq!(holders("14:06:00", &rows), [(20, "14:07:11".to_owned())]);
}

#[test]
fn more_than_are_kept_are_at_least_as_many_and_what_ran_out_makes_room() {
    let most = limits::TIMELINE_HOLDERS_MAX as u64;
    let mut rows = crowd("08:00:00", 20..20 + most, Reason::NeverRegistered);
    rows.push(change("09:00:00", ChangeKind::HandleBound, Cause::Proof));
    rows.extend(crowd("10:00:00", 20 + most..20 + 2 * most, Reason::LiveDevice));
    let gone = change("10:01:00", ChangeKind::HandleUnbound, Cause::SignOut);
    let told = explained(
        &question(HANDLE),
        "10:02:00",
        &[&rows[..], std::slice::from_ref(&gone)].concat(),
    )
    .1;
    assert_eq!((told.holders_count, told.holders_at_least), (most, false));
    assert_eq!(told.holders.len(), limits::TIMELINE_HOLDERS_LISTED_MAX);
    rows.push(asked("10:00:30", 1, Reason::LiveDevice));
    rows.push(gone);
    let told = explained(&question(HANDLE), "10:02:00", &rows).1;
    assert_eq!((told.holders_count, told.holders_at_least), (most, true));
}

#[test]
fn the_other_spelling_has_holders_of_its_own() {
    let (one, other) = ("+541123456789", "+5491123456789");
    let rows = [
        change_of(other, at("09:00:00"), (ChangeKind::HandleBound, Cause::Proof), (PHONE, ANN)),
        asked_for(one, at("10:00:00"), 20, Reason::LiveDevice),
        asked_for(other, at("10:00:01"), 21, Reason::LiveDevice),
        change_of(
            other,
            at("10:01:00"),
            (ChangeKind::HandleDeregistered, Cause::Deregistration),
            (PHONE, ANN),
        ),
    ];
    let summary = explained(&question(other), "10:02:00", &rows).1;
    // What the log never showed of the first spelling is not known: its asker is not called wrong.
    let handles: Vec<_> = summary.holders.iter().map(|holder| holder.handle.clone()).collect();
    assert_eq!(handles, [handle(other)]);
}

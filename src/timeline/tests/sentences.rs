//! Every reason and every change has its words.

use super::*;
use {Cause as C, ChangeKind as K, Reason as R};

const PHONE_ID: &str = "d_0000000000002";
const ANN_ID: &str = "a_0000000000068";

/// The first sentence told of these rows.
fn told(rows: &[LogRow]) -> String {
    explained(&question(HANDLE), "15:00:00", rows).0.pop().unwrap()
}

#[test]
fn every_change_of_a_handle_says_what_and_why() {
    let pairs = [
        (K::HandleBound, C::Proof, "D of A backs it: the code sent to the handle was answered"),
        (
            K::HandleBound,
            C::ProofHeld,
            "D of A backs it: the account had proved the handle already",
        ),
        (K::HandleBound, C::Linked, "D of A backs it: it joined the account with a link code"),
        (K::HandleMoved, C::NewerProof, "it moved to A, backed by D: that account proved it later"),
        (
            K::HandleMoved,
            C::Import,
            "it moved to A, backed by D: an imported file held a later proof",
        ),
        (
            K::HandleUnbound,
            C::OwnerRequest,
            "D of A no longer backs it: it gave the handle up, by its owner",
        ),
        (K::HandleUnbound, C::SignOut, "D of A no longer backs it: it signed out, by its owner"),
        (
            K::HandleUnbound,
            C::Silence,
            "D of A no longer backs it: it has not checked in for too long",
        ),
        (
            K::HandleDeregistered,
            C::Deregistration,
            "it was taken back from every device of A: its owner answered the code of a deregistration",
        ),
        (
            K::LeaseExpired,
            C::Silence,
            "D of A no longer counts as live: it has not checked in for too long",
        ),
        (
            K::DeviceRevived,
            C::CheckIn,
            "D of A counts as live again: it checked in again after its lease had lapsed",
        ),
        (
            K::HandleHidden,
            C::OwnerRequest,
            "A hides it from strangers: its owner asked for it on a device that backs it",
        ),
        (
            K::HandleShown,
            C::OwnerRequest,
            "A shows it to strangers again: its owner asked for it on a device that backs it",
        ),
        (K::HandleImported, C::Import, "it came in for A, backed by D: an imported file says so"),
    ];
    for kind in K::ALL {
        let of_no_handle =
            [K::DeviceRegistered, K::DeviceRemoved, K::AccountFlagged, K::AccountCleared];
        let names_a_handle = !of_no_handle.contains(kind);
        assert_eq!(pairs.iter().any(|(said, ..)| said == kind), names_a_handle, "{kind}");
    }
    for (kind, cause, expected) in pairs {
        let (device, account) = (format!("device {PHONE_ID}"), format!("account {ANN_ID}"));
        let expected = expected.replacen("D of", &format!("{device} of"), 1);
        let expected = expected
            .replace("by D", &format!("by {device}"))
            .replace("of A", &format!("of {account}"));
        let expected = expected.replace("to A,", &format!("to {account},"));
        let expected = expected.replace("for A,", &format!("for {account},"));
        let expected = expected.replacen("A hides", &format!("{account} hides"), 1);
        let expected = expected.replacen("A shows", &format!("{account} shows"), 1);
        assert_eq!(told(&[change("09:12:03", kind, cause)]), format!("09:12:03: {expected}"));
    }
}

#[test]
fn no_code_is_without_words() {
    for &kind in ChangeKind::ALL {
        for &cause in Cause::ALL {
            let sentence = told(&[change("09:12:03", kind, cause)]);
            assert!(sentence.starts_with("09:12:03: ") && sentence.len() > 60, "{sentence}");
        }
    }
    for &reason in Reason::ALL {
        let sentence = told(&[asked("09:12:03", 20, reason)]);
        assert!(sentence.len() > "refused at 09:12:03: ".len() + 10, "{sentence}");
    }
}

type Led = Option<(K, C)>;

/// What changed at 13:58:40, and what is said of a lookup at 14:02:11.
const REASONS: &[(Led, R, &str)] = &[
    (
        None,
        R::NeverRegistered,
        "green at 14:02:11: nobody ever proved it, or so long ago that it is forgotten",
    ),
    (
        Some((K::HandleBound, C::Proof)),
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (bound 13:58:40 by proof)",
    ),
    (
        Some((K::HandleBound, C::Linked)),
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (bound 13:58:40 as it joined the account)",
    ),
    (
        Some((K::HandleBound, C::ProofHeld)),
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (bound 13:58:40 by a proof that its account held already)",
    ),
    (
        Some((K::HandleMoved, C::NewerProof)),
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (moved 13:58:40 by a later proof than another account's)",
    ),
    (
        Some((K::HandleMoved, C::Import)),
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (moved 13:58:40 by an import with a later proof than another account's)",
    ),
    (
        None,
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (bound before what the log still holds)",
    ),
    (
        Some((K::HandleUnbound, C::OwnerRequest)),
        R::Lost(HandleLoss::Unbound),
        "green at 14:02:11: its last device gave it up at 13:58:40",
    ),
    (
        None,
        R::Lost(HandleLoss::Unbound),
        "green at 14:02:11: its last device gave it up before what the log still holds",
    ),
    (
        Some((K::HandleDeregistered, C::Deregistration)),
        R::Lost(HandleLoss::Deregistered),
        "green at 14:02:11: its owner took it back at 13:58:40, without a device",
    ),
    (
        Some((K::HandleImported, C::Import)),
        R::LiveDevice,
        "blue at 14:02:11: a live device backs it (imported 13:58:40)",
    ),
    (
        Some((K::HandleHidden, C::OwnerRequest)),
        R::Undiscoverable,
        "green at 14:02:11: its owner hides it from strangers (since 13:58:40)",
    ),
    (
        Some((K::LeaseExpired, C::Silence)),
        R::LeaseExpired,
        "green at 14:02:11: none of its devices has checked in within the lease (recorded 13:58:40)",
    ),
    (
        None,
        R::LeaseExpired,
        "green at 14:02:11: none of its devices has checked in within the lease",
    ),
    (
        Some((K::HandleUnbound, C::SignOut)),
        R::Lost(HandleLoss::DeviceRemoved),
        "green at 14:02:11: its last device signed out at 13:58:40, by its owner",
    ),
    (
        Some((K::HandleUnbound, C::Silence)),
        R::Lost(HandleLoss::DeviceRemoved),
        "green at 14:02:11: its last device was removed at 13:58:40, since it had not checked in for so long",
    ),
    (
        None,
        R::Lost(HandleLoss::DeviceRemoved),
        "green at 14:02:11: its last device signed out or was removed before what the log still holds",
    ),
    (None, R::Undiscoverable, "green at 14:02:11: its owner hides it from strangers"),
    (
        None,
        R::Refused(ProblemCode::LookupQuota),
        "refused at 14:02:11: Too many new handles (lookup-quota)",
    ),
    (
        None,
        R::Refused(ProblemCode::RateLimited),
        "refused at 14:02:11: Too many requests (rate-limited)",
    ),
    (
        None,
        R::Refused(ProblemCode::RegistryLoading),
        "refused at 14:02:11: The registry is being loaded (registry-loading)",
    ),
    (
        None,
        R::Refused(ProblemCode::Overloaded),
        "refused at 14:02:11: The service is overloaded (overloaded)",
    ),
];

#[test]
fn every_reason_says_what_led_to_it() {
    for (led, reason, expected) in REASONS {
        let led = led.map(|(kind, cause)| change("13:58:40", kind, cause));
        let rows: Vec<_> = led.into_iter().chain([asked("14:02:11", 20, *reason)]).collect();
        assert_eq!(told(&rows), *expected);
    }
}

#[test]
fn a_reason_does_not_cite_what_did_not_lead_to_it() {
    // An answer with another reason than the last end must have lost its own record.
    let ends = [
        (K::HandleUnbound, C::OwnerRequest, R::Lost(HandleLoss::Unbound)),
        (K::HandleUnbound, C::SignOut, R::Lost(HandleLoss::DeviceRemoved)),
        (K::HandleDeregistered, C::Deregistration, R::Lost(HandleLoss::Deregistered)),
    ];
    for (kind, cause, own) in ends {
        for reason in [
            R::Lost(HandleLoss::Unbound),
            R::Lost(HandleLoss::DeviceRemoved),
            R::Lost(HandleLoss::Deregistered),
        ] {
            let rows = [change("13:58:40", kind, cause), asked("14:02:11", 20, reason)];
            assert_eq!(told(&rows).contains("13:58:40"), reason == own, "{}", told(&rows));
        }
    }
}

#[test]
fn another_day_has_its_date_and_an_address_has_no_colour() {
    let before = Timestamp::from_micros(DAY.as_micros() - 1_000_000);
    let named = "ann@example.com";
    let rows = [
        change_of(
            named,
            before,
            (ChangeKind::HandleDeregistered, Cause::Deregistration),
            (PHONE, ANN),
        ),
        asked_for(named, at("14:02:11"), 20, Reason::Lost(HandleLoss::Deregistered)),
    ];
    let (sentences, summary) = explained(&question(named), "15:00:00", &rows);
    assert!(sentences[0].starts_with("2026-11-22 23:59:59: it was taken back"));
    assert_eq!(
        sentences[1],
        "no route at 14:02:11: its owner took it back at 2026-11-22 23:59:59, without a device"
    );
    assert_eq!(summary.route, Some(Route::None));
}

#[test]
fn one_device_of_two_leaves_it_blue_and_says_so() {
    let rows = [
        change("09:00:00", ChangeKind::HandleBound, Cause::Proof),
        change_of(HANDLE, at("09:10:00"), (ChangeKind::HandleBound, Cause::Linked), (2, ANN)),
        change("10:00:00", ChangeKind::HandleUnbound, Cause::SignOut),
    ];
    let (sentences, summary) = explained(&question(HANDLE), "15:00:00", &rows);
    assert!(sentences[2].ends_with("; another of its devices still does"), "{}", sentences[2]);
    assert_eq!(
        summary.sentence,
        "blue since 09:00:00: a live device backs it (bound 09:10:00 as it joined the account)"
    );
}

#[test]
fn a_device_that_came_back_and_a_handle_that_is_shown_again_say_since_when() {
    let mut rows = vec![
        change("09:00:00", K::HandleBound, C::Proof),
        change("10:00:00", K::LeaseExpired, C::Silence),
        asked("10:30:00", 20, R::LeaseExpired),
        change("10:45:00", K::DeviceRevived, C::CheckIn),
        asked("11:00:00", 20, R::LiveDevice),
    ];
    assert_eq!(
        told(&rows),
        "blue at 11:00:00: a live device backs it (bound 09:00:00 by proof; checked in again after \
         its lease had lapsed, 10:45:00)"
    );
    let summary = explained(&question(HANDLE), "15:00:00", &rows).1;
    assert!(summary.sentence.starts_with("blue since 10:45:00: "), "{}", summary.sentence);
    rows.push(change("12:00:00", K::HandleHidden, C::OwnerRequest));
    rows.push(change("13:00:00", K::HandleShown, C::OwnerRequest));
    rows.push(asked("14:00:00", 20, R::LiveDevice));
    assert_eq!(
        told(&rows),
        "blue at 14:00:00: a live device backs it (bound 09:00:00 by proof; shown to strangers \
         again 13:00:00)"
    );
}

#[test]
fn a_number_found_by_its_other_spelling_says_so() {
    let (asked_as, held_as) = ("+541123456789", "+5491123456789");
    let bound = (ChangeKind::HandleBound, Cause::Proof);
    let rows = [
        asked_for(asked_as, at("08:00:00"), 20, Reason::NeverRegistered),
        change_of(held_as, at("09:00:00"), bound, (PHONE, ANN)),
        asked_for(asked_as, at("10:00:00"), 20, Reason::LiveDevice),
        change_of(
            held_as,
            at("11:00:00"),
            (ChangeKind::HandleUnbound, Cause::SignOut),
            (PHONE, ANN),
        ),
    ];
    let (sentences, summary) = explained(&question(asked_as), "10:30:00", &rows[..3]);
    assert_eq!(
        sentences[2],
        "blue at 10:00:00: a live device backs it (bound 09:00:00 by proof); found by the \
         number's other spelling +5491123456789"
    );
    assert!(summary.sentence.starts_with("blue since 09:00:00: "), "{}", summary.sentence);
    assert!(summary.sentence.ends_with("other spelling +5491123456789"), "{}", summary.sentence);
    assert_eq!(summary.other_spellings, [held_as]);
    assert_eq!(summary.because.unwrap().handle, handle(held_as));
    // Each by itself again: nobody ever proved the one asked about.
    let gone = explained(&question(asked_as), "11:30:00", &rows).1;
    assert_eq!((gone.route, gone.reason), (Some(Route::Sms), Some(R::NeverRegistered)));
    let other = explained(&question(held_as), "11:30:00", &rows).1;
    assert_eq!(other.reason, Some(R::Lost(HandleLoss::DeviceRemoved)));
}

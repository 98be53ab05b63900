//! Tests of handles.

mod dialled;
mod email;
mod examples;
mod former;
mod invariants;
mod kept;
mod phone;
mod random;

use crate::handle::{Handle, HandleError, PhoneKey, Region};

/// The canonical text, or the reason.
fn parsed(input: &str, region: &str) -> String {
    let region = (!region.is_empty()).then(|| Region::parse(region).expect("a known region"));
    match Handle::parse(input, region) {
        Ok(handle) => handle.canonical().into_owned(),
        Err(error) => error.reason().to_owned(),
    }
}

#[track_caller]
fn check_table(cases: &[(&str, &str, &str)]) {
    for (input, region, expected) in cases {
        assert_eq!(parsed(input, region), *expected, "{input:?} in {region:?}");
    }
}

#[test]
fn only_a_number_without_a_calling_code_reads_its_region() {
    let with = |input: &str, code| match Handle::parse_in(input, code) {
        Ok(handle) => handle.canonical().into_owned(),
        Err(error) => error.reason().to_owned(),
    };
    for code in [None, Some("US"), Some("us"), Some("XX"), Some("")] {
        for (input, expected) in [
            ("+14155550123", "+14155550123"),
            ("+1 415 555 0123", "+14155550123"),
            ("tel:4155550123;phone-context=+1", "+14155550123"),
            ("alice@example.com", "alice@example.com"),
            ("", "empty"),
            ("alice", "not-a-number"),
            ("415 555 0123 x22", "extension"),
            ("+1415555012", "too-short"),
        ] {
            assert_eq!(with(input, code), expected, "{input} in {code:?}");
        }
    }
    assert_eq!(with("415 555 0123", Some("us")), "+14155550123");
    assert_eq!(with("415 555 0123", None), "needs-region");
    for code in ["", "XX", "USA", "001"] {
        assert_eq!(with("415 555 0123", Some(code)), "unknown-country", "{code}");
        assert_eq!(with("tel:415-555-0123", Some(code)), "unknown-country", "{code}");
    }
}

#[test]
fn empty_and_too_long_texts_are_refused_before_parsing() {
    check_table(&[("", "", "empty"), (" \t\u{3000}", "US", "empty")]);
    let padded = |spaces: usize| format!("+1415{}5550123", " ".repeat(spaces));
    assert_eq!(parsed(&padded(320 - 12), ""), "+14155550123");
    assert_eq!(parsed(&padded(321 - 12), ""), "too-long");
    assert_eq!(parsed(&format!("{}@example.com", "a".repeat(10_000_000)), ""), "too-long");
}

#[test]
fn stored_text_reads_back_by_kind() {
    let address = Handle::parse("+49170@example.com", None).expect("an address");
    assert_eq!(Handle::from_canonical("+49170@example.com"), Some(address));
    assert_eq!(Handle::from_canonical("+4917612345678x"), None);
    assert_eq!(Handle::from_canonical("alice"), None);
    assert_eq!(Handle::from_canonical(""), None);
}

#[test]
fn packed_keys_accept_only_e164() {
    for text in ["+1000000", "+999999999999999", "+14155550123"] {
        let key = PhoneKey::from_e164(text).expect("E.164-shaped");
        assert_eq!(key.e164().as_str(), text);
        assert_eq!(PhoneKey::from_bits(key.bits()), Some(key));
    }
    for text in [
        "",
        "+",
        "+999999",
        "+0123456",
        "+1000000000000000",
        "14155550123",
        "+1 4155550123",
        "+１４１５５５５０１２３",
    ] {
        assert_eq!(PhoneKey::from_e164(text), None, "{text}");
    }
    for bits in [0, 1, 999_999, 1_000_000_000_000_000, u64::MAX] {
        assert_eq!(PhoneKey::from_bits(bits), None, "{bits}");
    }
}

#[test]
fn debug_never_shows_a_handle() {
    for text in ["+14155550123", "alice@example.com"] {
        let handle = Handle::parse(text, None).expect("a handle");
        let shown = match &handle {
            Handle::Phone(key) => format!("{handle:?} {key:?} {:?}", key.e164()),
            Handle::Email(address) => format!("{handle:?} {address:?}"),
        };
        assert!(!shown.contains("415") && !shown.contains("alice"), "{shown}");
    }
}

#[test]
fn the_library_cannot_log_a_number() {
    assert_eq!(log::STATIC_MAX_LEVEL, log::LevelFilter::Off);
}

#[test]
fn warming_up_changes_no_answer() {
    let before = parsed("0151 23456789", "DE");
    crate::handle::warm_up();
    assert_eq!(parsed("0151 23456789", "DE"), before);
}

#[test]
fn regions_are_two_letters_with_a_numbering_plan() {
    assert_eq!(Region::parse("us"), Region::parse("US"));
    assert_eq!(Region::all().count(), 245);
    for code in ["", "U", "USA", "UK", "AQ", "ZZ", "001", "1", "ＵＳ", "é", "U\0"] {
        assert_eq!(Region::parse(code), Err(HandleError::UnknownCountry), "{code}");
    }
}

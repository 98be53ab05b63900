//! Phone numbers that people and programs send, and cases that other implementations got wrong.

use super::check_table;
use crate::handle::{Handle, PhoneKey};

#[test]
fn spellings_of_one_number_have_one_canonical_form() {
    check_table(&[
        ("+14155550123", "", "+14155550123"),
        ("+14155550123", "DE", "+14155550123"),
        (" +1 (415) 555-0123 ", "", "+14155550123"),
        ("+1.415.555.0123", "", "+14155550123"),
        ("+1/415/555/0123", "", "+14155550123"),
        ("(+1) 415 [555] 0123", "", "+14155550123"),
        ("+1\u{2011}415\u{2013}555\u{2212}0123", "", "+14155550123"),
        ("+1\u{A0}415\u{202F}555\u{3000}0123", "", "+14155550123"),
        // As copied from an address book, with marks that keep it left to right.
        ("\u{202A}+1 (415) 555-0123\u{202C}", "", "+14155550123"),
        ("\u{2068}+1 415 555 0123\u{2069}", "", "+14155550123"),
        ("＋１ ４１５ ５５５ ０１２３", "", "+14155550123"),
        ("+١٤١٥٥٥٥٠١٢٣", "", "+14155550123"),
        ("+१४१५५५५०१२३", "", "+14155550123"),
        ("(415) 555-0123", "US", "+14155550123"),
        ("1 415 555 0123", "US", "+14155550123"),
        ("011 1 415 555 0123", "US", "+14155550123"),
        ("00 1 415 555 0123", "DE", "+14155550123"),
        ("0151 23456789", "DE", "+4915123456789"),
        ("0151/23456789", "DE", "+4915123456789"),
        ("+49 (0)151 23456789", "", "+4915123456789"),
        // The zero of an Italian land line belongs to the number.
        ("06 698 1234", "IT", "+39066981234"),
        ("+39 06 698 1234", "", "+39066981234"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("+800 1234 5678", "", "+80012345678"),
    ]);
}

#[test]
fn tel_uris_by_rfc_3966() {
    check_table(&[
        ("tel:+1-415-555-0123", "", "+14155550123"),
        ("TEL:+1-415-555-0123", "", "+14155550123"),
        ("tel:%2B1%20415%20555%200123", "", "+14155550123"),
        ("tel:4155550123", "US", "+14155550123"),
        ("tel:4155550123", "", "needs-region"),
        ("tel:415-555-0123;phone-context=+1", "", "+14155550123"),
        ("tel:5550123;phone-context=+1-415", "DE", "+14155550123"),
        ("tel:5550123;Phone-Context=%2B1415", "", "+14155550123"),
        ("tel:415-555-0123;phone-context=example.com", "US", "+14155550123"),
        ("tel:415-555-0123;phone-context=example.com", "", "needs-region"),
        ("tel:+14155550123;verified=yes", "", "+14155550123"),
        ("tel:+1-415-555-0123;ext=22", "", "extension"),
        ("tel:+1-415-555-0123;EXT=22", "", "extension"),
        ("tel:4155550123;phone-context=+1;ext=22", "", "extension"),
        ("tel:+1-415-555-0123;isub=1411", "", "extension"),
        ("tel:+1-415-555-0123;postd=pp22", "", "extension"),
        ("tel:+14155550123;phone-context=+1", "", "not-a-number"),
        ("tel:4155550123;phone-context=", "US", "not-a-number"),
        ("tel:4155550123;phone-context=+", "US", "not-a-number"),
        ("tel:4155550123;phone-context=+1;phone-context=+49", "US", "not-a-number"),
        ("tel:+1415%zz5550123", "", "not-a-number"),
        ("tel:+1415%C35550123", "", "not-a-number"),
        ("tel:+1415555012%3", "", "not-a-number"),
        ("tel:", "US", "not-a-number"),
        ("tel:alice@example.com", "", "not-a-number"),
    ]);
}

/// The library splits a text at `tel:` and at `;phone-context=`, in this order, wherever they are.
#[test]
fn parameters_in_the_wrong_order_do_not_reach_the_library() {
    check_table(&[
        ("415;phone-context=a;tel:", "US", "not-a-number"),
        ("415;phone-context=+1;tel:5550123", "US", "not-a-number"),
        ("tel:415%3Bphone-context=a%3Btel:", "", "not-a-number"),
        ("tel:415;phone-context=a;tel:", "US", "too-short"),
    ]);
}

#[test]
fn extensions_have_their_own_reason() {
    check_table(&[
        ("+1 415 555 0123 ext. 22", "", "extension"),
        ("+1 415 555 0123 x22", "", "extension"),
        ("415 555 0123 extension 22", "US", "extension"),
        ("415 555 0123 ext 22", "", "extension"),
        ("+1 415 555 0123;ext=22", "", "extension"),
        ("+1 415 555 0123 #22", "", "extension"),
        ("+1 415 555 0123,,22#", "", "extension"),
        ("+7 912 345 67 89 доб. 12", "", "extension"),
    ]);
}

#[test]
fn other_texts_have_a_helpful_reason() {
    check_table(&[
        ("alice", "", "not-a-number"),
        ("alice", "US", "not-a-number"),
        ("alice.example.com", "", "not-a-number"),
        ("+", "", "not-a-number"),
        ("()-.", "US", "not-a-number"),
        ("\u{200B}", "US", "not-a-number"),
        ("call +14155550123", "", "not-a-number"),
        ("+14155550123 or +14155550124", "", "not-a-number"),
        ("+14155550123/+14155550124", "", "not-a-number"),
        ("++14155550123", "", "not-a-number"),
        ("1+4155550123", "US", "not-a-number"),
        ("*100#", "US", "not-a-number"),
        ("+1415555012a", "", "not-a-number"),
        ("sms:+14155550123", "", "not-a-number"),
        // Letters are never digits: see the module documentation of phone.rs.
        ("1-800-FLOWERS", "US", "not-a-number"),
        ("+1-800-FLOWERS", "", "not-a-number"),
        ("4155550123", "", "needs-region"),
        ("911", "", "needs-region"),
        ("0049 151 23456789", "", "needs-region"),
        ("+999 123 456 789", "", "unknown-country"),
        ("+0049 151 23456789", "", "unknown-country"),
        ("+0151 23456789", "DE", "unknown-country"),
        ("00 999 123 456 789", "DE", "unknown-country"),
        ("5", "US", "too-short"),
        ("12", "US", "too-short"),
        ("911", "US", "too-short"),
        ("+1", "", "too-short"),
        ("+44", "", "too-short"),
        ("+1415555012", "", "too-short"),
        // Without an area code: possible within one area only.
        ("555-0123", "US", "too-short"),
        ("+15550123", "", "too-short"),
        ("+491234", "", "too-short"),
        ("+141555501234", "", "too-long"),
        ("141555501234567", "US", "too-long"),
        // Germany's plan allows 15 digits after the calling code, E.164 does not.
        ("+49123456789012345", "", "too-long"),
        ("12345678901234567890123", "", "too-long"),
        ("+12345678901234567890123", "", "too-long"),
    ]);
}

#[test]
fn a_repeated_calling_code_is_checked_by_its_length() {
    check_table(&[
        // +49 before a number with 49: the second 49 may be an area code, and is read as one.
        ("+4949151234567", "", "+4949151234567"),
        ("+49 49 151 23456789", "", "+494915123456789"),
        ("+1 1 415 555 0123", "", "+14155550123"),
        ("+44 44 7911 123456", "", "too-long"),
    ]);
}

#[test]
fn possible_numbers_are_accepted() {
    check_table(&[
        // No area code 999, no exchange 000: plans grow.
        ("+19990000000", "", "+19990000000"),
        ("+4479999999990", "", "too-long"),
        ("+447000000000", "", "+447000000000"),
    ]);
}

#[test]
fn argentina_and_brazil_have_two_spellings() {
    let cases = [
        ("+5491123456789", Some("+541123456789")),
        ("+541123456789", Some("+5491123456789")),
        ("+5492214567890", Some("+542214567890")),
        ("+543804123456", Some("+5493804123456")),
        // Toll-free, one digit too many, one digit too few, an invalid area code.
        ("+548001234567", None),
        ("+54112345678901", None),
        ("+54112345678", None),
        ("+5494123456789", None),
        ("+540123456789", None),
        ("+5511987654321", Some("+551187654321")),
        ("+551187654321", Some("+5511987654321")),
        ("+5511687654321", None),
        ("+551167654321", Some("+5511967654321")),
        // Land lines, with and without a 9 that makes them somebody's mobile number.
        ("+551132345678", None),
        ("+5511932345678", None),
        ("+551159999999", None),
        // No area code.
        ("+5510987654321", None),
        ("+550187654321", None),
        ("+558001234567", None),
        // The ninth digit is a 9.
        ("+5511887654321", None),
        // Others.
        ("+14155550123", None),
        ("+5512345", None),
        ("+5411234", None),
    ];
    for (text, expected) in cases {
        let key = PhoneKey::from_e164(text).expect("E.164-shaped");
        let other = key.other_spelling().map(|key| key.e164().as_str().to_owned());
        assert_eq!(other.as_deref(), expected, "{text}");
        let handles: Vec<_> = Handle::Phone(key).equivalents().collect();
        assert_eq!(
            handles,
            key.other_spelling().map(Handle::Phone).into_iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn argentine_mobile_numbers_in_national_form_are_the_same_numbers() {
    check_table(&[
        ("011 15 2345-6789", "AR", "+5491123456789"),
        ("0221 15 456-7890", "AR", "+5492214567890"),
        ("+54 9 11 2345 6789", "", "+5491123456789"),
        ("+54 11 2345 6789", "", "+541123456789"),
    ]);
}

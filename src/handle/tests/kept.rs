//! Handles as address books, spreadsheets, chats and web pages keep them.

use proptest::prelude::*;

use super::{check_table, invariants, parsed};
use crate::handle::Handle;

#[test]
fn invisible_characters_and_quotes_around_a_handle_are_ignored() {
    let around = [
        ("\u{200E}", ""),
        ("\u{202A}", "\u{202C}"),
        ("\u{2068}", "\u{2069}"),
        ("\u{FEFF}", ""),
        ("", "\u{200B}"),
        ("\u{2060}\u{A0}", " \u{200D}\u{FE0F}"),
        ("\u{3000}\u{2009}", "\u{202F}\r\n"),
        ("\n", "\n"),
        ("\"", "\""),
        ("'", "'"),
        ("“", "”"),
        ("‘", "’"),
        ("=\"", "\""),
        ("\u{FEFF}\"' ", " '\" "),
    ];
    for (before, after) in around {
        for (handle, region, expected) in [
            ("alice@example.com", "", "alice@example.com"),
            ("josé@例え.テスト", "", "josé@xn--r8jz45g.xn--zckzah"),
            ("mailto:alice@example.com", "", "alice@example.com"),
            ("+14155550123", "", "+14155550123"),
            ("(415) 555-0123", "US", "+14155550123"),
            ("tel:+1-415-555-0123", "", "+14155550123"),
        ] {
            let text = format!("{before}{handle}{after}");
            assert_eq!(parsed(&text, region), expected, "{text:?}");
        }
    }
    check_table(&[
        ("alice@example.com\u{200B}", "", "alice@example.com"),
        ("\u{FEFF}alice@example.com", "", "alice@example.com"),
        ("mailto:%E2%80%8Ealice@example.com%E2%80%8E", "", "alice@example.com"),
        ("mailto:%22alice@example.com%22", "", "alice@example.com"),
        ("'+14155550123", "", "+14155550123"),
        ("’+1 415 555 0123", "", "+14155550123"),
        ("'0151 23456789", "DE", "+4915123456789"),
        // RFC 5322 allows an apostrophe there. Two of them are quotes, since no domain has one.
        ("'alice@example.com", "", "'alice@example.com"),
        ("o'brien@example.com", "", "o'brien@example.com"),
        // Not around the whole text.
        ("\"alice@example.com", "", "not-an-address"),
        ("+1'415'555'0123", "", "not-a-number"),
        ("\"+14155550123\" \"+14155550124\"", "", "not-a-number"),
        ("\"\"", "", "not-a-number"),
        ("'", "", "not-a-number"),
        ("\u{FEFF}", "", "not-a-number"),
        // Names belong to a mailbox, not to an address.
        ("<alice@example.com>", "", "not-an-address"),
        ("Alice <alice@example.com>", "", "not-an-address"),
    ]);
}

#[test]
fn uris_with_slashes_are_uris() {
    check_table(&[
        ("mailto://alice@example.com", "", "alice@example.com"),
        ("MAILTO://Alice@example.com?subject=Hi", "", "alice@example.com"),
        ("mailto: alice@example.com", "", "alice@example.com"),
        ("tel://+14155550123", "", "+14155550123"),
        ("TEL://415-555-0123", "US", "+14155550123"),
        // A local part may begin with slashes.
        ("//alice@example.com", "", "//alice@example.com"),
        ("mailto:%2F%2Falice@example.com", "", "//alice@example.com"),
        // Orders to a program are no handles.
        ("sms:+14155550123", "", "not-a-number"),
        ("callto:+14155550123", "", "not-a-number"),
        ("https://example.com/+14155550123", "", "not-a-number"),
        ("sip:alice@example.com", "", "not-an-address"),
    ]);
}

#[test]
fn separators_between_digits() {
    let separators = [
        "\u{FE0F}",
        "\u{FE0E}",
        "\u{200B}",
        "\u{200C}",
        "\u{200D}",
        "\u{2060}",
        "\u{FEFF}",
        "\u{AD}",
        "\u{34F}",
        "\u{180E}",
        "\u{200E}",
        "\u{202D}",
        "\u{2066}",
        "\u{B7}",
        "\u{2022}",
        "\u{2219}",
        "\u{2027}",
        "\u{30FB}",
        "\u{FF65}",
        "\u{2013}",
        "\u{2014}",
        "\u{2212}",
        "\u{2010}",
        "\u{FE63}",
        "\u{FF0D}",
        "\u{A0}",
        "\u{2007}",
        "\u{202F}",
        "\u{3000}",
        " \u{2022} ",
        " - ",
        "\t",
        ".",
        "/",
        ")(",
    ];
    for separator in separators {
        let text = ["+1", "415", "555", "0123"].join(separator);
        assert_eq!(parsed(&text, ""), "+14155550123", "{text:?}");
    }
    check_table(&[
        ("+1️⃣4️⃣1️⃣5️⃣5️⃣5️⃣5️⃣0️⃣1️⃣2️⃣3️⃣", "", "+14155550123"),
        ("＋１（４１５）５５５－０１２３", "", "+14155550123"),
        ("+𝟏𝟒𝟏𝟓𝟓𝟓𝟓𝟎𝟏𝟐𝟑", "", "+14155550123"),
        ("＋4９15123456789", "", "+4915123456789"),
        // Numbers, but not decimal digits.
        ("+1415555012³", "", "not-a-number"),
        ("+①415555012", "", "not-a-number"),
        ("+1_415_555_0123", "", "not-a-number"),
        ("+1:415:555:0123", "", "not-a-number"),
        ("+1,415,555,0123", "", "not-a-number"),
        ("+1\u{0}415\u{0}555\u{0}0123", "", "not-a-number"),
    ]);
}

#[test]
fn pauses_at_the_end_are_ignored_and_pauses_before_digits_are_extensions() {
    check_table(&[
        ("+1 415 555 0123,", "", "+14155550123"),
        ("+1 415 555 0123;", "", "+14155550123"),
        ("+1 415 555 0123 ,,; ", "", "+14155550123"),
        ("+1 415 555 0123，", "", "+14155550123"),
        ("415 555 0123,", "US", "+14155550123"),
        ("+1 415 555 0123.", "", "+14155550123"),
        ("+14155550123p123", "", "extension"),
        ("+14155550123W123#", "", "extension"),
        ("+1 415 555 0123 p 123", "", "extension"),
        ("+1 415 555 0123,22", "", "extension"),
        ("+1 415 555 0123;22", "", "extension"),
        ("+1 415 555 0123,,123456789#", "", "extension"),
        ("+1 415 555 0123,,22,,33#", "", "extension"),
        ("+14155550123p", "", "not-a-number"),
        ("p123", "US", "not-a-number"),
        (",22", "US", "not-a-number"),
    ]);
}

#[test]
fn two_numbers_are_none() {
    check_table(&[
        ("22123\n22124", "WS", "not-a-number"),
        ("22123\r\n22124", "WS", "not-a-number"),
        ("22123\u{2028}22124", "WS", "not-a-number"),
        ("22123\t22124", "WS", "not-a-number"),
        ("22123/22124", "WS", "not-a-number"),
        ("8552265/489459", "DE", "not-a-number"),
        ("0221/23422124", "DE", "+4922123422124"),
        ("22123 / 22124", "WS", "not-a-number"),
        ("22123;22124", "WS", "not-a-number"),
        ("22123, 22124", "WS", "not-a-number"),
        ("22123 or 22124", "WS", "not-a-number"),
        ("22123 & 22124", "WS", "not-a-number"),
        ("22123|22124", "WS", "not-a-number"),
        ("+685 22123/22124", "", "not-a-number"),
        ("+1\n415\n555\n0123", "", "not-a-number"),
        ("+1 415 555 0123\n", "", "+14155550123"),
        ("+1 415 555 0123, +1 415 555 0124", "", "not-a-number"),
        ("415 555 0123; 415 555 0124", "US", "not-a-number"),
        // A range of numbers.
        ("030 1234567/68", "DE", "not-a-number"),
        ("030 1234567/8", "DE", "not-a-number"),
        ("030/1234567/68", "DE", "not-a-number"),
        ("+49 30 1234567 / 68", "", "not-a-number"),
        ("030 1234567／68", "DE", "not-a-number"),
        // A slash after an area code, or between the digits of one number.
        ("0151/23456789", "DE", "+4915123456789"),
        ("0151 / 23 45 67 89", "DE", "+4915123456789"),
        ("033203/12345", "DE", "+493320312345"),
        ("0664/123 45 67", "AT", "+436641234567"),
        ("0475/12.34.56", "BE", "+32475123456"),
        ("06/39/98/12/30", "FR", "+33639981230"),
        ("02/22123456", "IT", "+390222123456"),
        ("/22123/", "WS", "+68522123"),
    ]);
    let slashes = format!("+49{}30{}1234567", "/".repeat(100), "/".repeat(100));
    assert_eq!(parsed(&slashes, ""), "+49301234567");
}

#[test]
fn decimal_fractions_of_a_spreadsheet_are_refused() {
    for number in
        ["+4915123456789", "4915123456789", "+49 15123456789", "+436641234567", "+31612345678"]
    {
        for zeros in [".0", ".00", ",0", ",00", "．0", "٫0"] {
            assert_eq!(
                parsed(&format!("{number}{zeros}"), "DE"),
                "not-a-number",
                "{number}{zeros}"
            );
        }
    }
    check_table(&[
        ("+919812345678.0", "", "not-a-number"),
        ("+4915123456.0", "", "not-a-number"),
        ("'+4915123456789.0", "", "not-a-number"),
        ("tel:+4915123456789.0", "", "not-a-number"),
        ("+4915123456789.٠", "", "not-a-number"),
        ("+4915123456789. 0", "", "not-a-number"),
        ("+4915123456789 . 0", "", "not-a-number"),
        ("+4915123456789.\u{200B}0", "", "not-a-number"),
        ("+4915123456789.(0)", "", "not-a-number"),
        ("+4915123456789.-0", "", "not-a-number"),
        ("+4915123456789·0", "", "not-a-number"),
        ("+4915123456789․0", "", "not-a-number"),
        ("+4915123456789.0;", "", "not-a-number"),
        ("4155550123.000000", "US", "not-a-number"),
        ("+14155550123.000", "", "not-a-number"),
        ("4,155,550,123.00", "US", "not-a-number"),
        ("14.155.550.123,00", "US", "not-a-number"),
        ("4.91512E+12", "", "not-a-number"),
        ("4,91512E+12", "DE", "not-a-number"),
        ("4.9151234567e12", "DE", "not-a-number"),
        ("1.4155550123E10", "US", "not-a-number"),
        // Dots as separators.
        ("+1.415.555.0123", "", "+14155550123"),
        ("+1.415.555.0000", "", "+14155550000"),
        ("(415) 555.0000", "US", "+14155550000"),
        ("+33.6.39.98.12.30", "", "+33639981230"),
        ("+33.6.39.98.12.00", "", "+33639981200"),
        ("+49.30.1234567.0", "", "+493012345670"),
        ("0151.23456780", "DE", "+4915123456780"),
        ("+14155550123.", "", "+14155550123"),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Invisible characters around a text change nothing. Alone they are no handle.
    #[test]
    fn invisible_characters_around_any_text(
        text in "\\PC{1,20}|[+0-9 ().,/;~x'\"-]{1,20}|[a-z.'\"]{1,9}@[a-z]{1,9}\\.[a-z\"']{1,3}",
        before in "[\u{200B}-\u{200F}\u{202A}-\u{202E}\u{2060}-\u{2069}\u{FE0F}\u{FEFF}\u{A0}\t ]{0,4}",
        after in "[\u{200B}-\u{200F}\u{202A}-\u{202E}\u{2060}-\u{2069}\u{FE0F}\u{FEFF}\u{A0}\r\n ]{0,4}",
        region in prop::sample::select(invariants::regions()),
    ) {
        let wrapped = format!("{before}{text}{after}");
        if !text.trim().is_empty() {
            prop_assert!(Handle::parse(&wrapped, region) == Handle::parse(&text, region), "{:?}", wrapped);
        }
        invariants::check(&wrapped, region);
    }

    /// The parser never reads more than the digits that are there.
    #[test]
    fn separators_never_change_a_number(
        digits in "[1-9][0-9]{6,13}",
        separators in prop::collection::vec("[ ().·\u{2022}\u{2013}\u{200D}\u{FE0F}-]{0,2}", 15),
    ) {
        let spaced: String = std::iter::once('+')
            .chain(digits.chars())
            .zip(&separators)
            .flat_map(|(c, separator)| std::iter::once(c).chain(separator.chars()))
            .collect();
        let is_decimal = ['.', '·'].into_iter().any(|point| spaced.matches(point).count() == 1);
        if !is_decimal {
            prop_assert_eq!(parsed(&spaced, ""), parsed(&format!("+{digits}"), ""), "{:?}", spaced);
        }
    }
}

#[test]
fn punctuation_around_an_address_makes_no_other_domain() {
    check_table(&[
        ("\u{201E}a@example.com\u{201C}", "", "a@example.com"),
        ("«a@example.com»", "", "a@example.com"),
        ("‹a@example.com›", "", "a@example.com"),
        ("「a@example.com」", "", "a@example.com"),
        ("a@example.com\u{201D}", "", "not-an-address"),
        ("a@example.com—", "", "not-an-address"),
        ("a@example’s.com", "", "not-an-address"),
        ("a@example.com→", "", "not-an-address"),
        ("a@☃.example", "", "not-an-address"),
        ("a@xn--com-9o0a", "", "not-an-address"),
        ("a@b.xn--com-9o0a", "", "not-an-address"),
        ("a@bücher.example", "", "a@xn--bcher-kva.example"),
        ("a@l·l.example", "", "a@xn--ll-0ea.example"),
        ("a\u{2800}@example.com", "", "not-an-address"),
        ("a@b\u{2800}.com", "", "not-an-address"),
        ("\u{FFFC}a@example.com", "", "not-an-address"),
    ]);
}

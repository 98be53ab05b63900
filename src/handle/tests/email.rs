//! E-mail addresses.

use super::{check_table, parsed};

#[test]
fn spellings_of_one_address_have_one_canonical_form() {
    check_table(&[
        ("alice@example.com", "", "alice@example.com"),
        ("Alice@EXAMPLE.com", "US", "alice@example.com"),
        (" alice@example.com\n", "", "alice@example.com"),
        ("\"alice\"@example.com", "", "alice@example.com"),
        ("\"al\\ice\"@example.com", "", "alice@example.com"),
        ("alice+tag@example.com", "", "alice+tag@example.com"),
        ("+14155550123@example.com", "", "+14155550123@example.com"),
        ("a!#$%&'*+-/=?^_`{|}~@example.com", "", "a!#$%&'*+-/=?^_`{|}~@example.com"),
        ("a.b.c@mail.example.co.uk", "", "a.b.c@mail.example.co.uk"),
        ("alice@123.example", "", "alice@123.example"),
        ("alice@r3---sn.example.com", "", "alice@r3---sn.example.com"),
    ]);
}

#[test]
fn local_parts_are_folded_and_composed() {
    check_table(&[
        ("JOSÉ@example.com", "", "josé@example.com"),
        ("jose\u{301}@example.com", "", "josé@example.com"),
        ("STRASSE@example.com", "", "strasse@example.com"),
        ("straße@example.com", "", "strasse@example.com"),
        ("STRAẞE@example.com", "", "strasse@example.com"),
        ("ΟΔΥΣΣΕΥΣ@example.com", "", "οδυσσευσ@example.com"),
        ("οδυσσευς@example.com", "", "οδυσσευσ@example.com"),
        ("\u{212A}elvin@example.com", "", "kelvin@example.com"),
        ("ﬁn@example.com", "", "fin@example.com"),
        ("ŉ@example.com", "", "ʼn@example.com"),
        ("ᾳ\u{301}@example.com", "", "άι@example.com"),
        ("İ@example.com", "", "i\u{307}@example.com"),
        ("用户@example.com", "", "用户@example.com"),
        ("ＡＬＩＣＥ@example.com", "", "ａｌｉｃｅ@example.com"),
    ]);
}

#[test]
fn domains_become_a_labels() {
    check_table(&[
        ("alice@BÜCHER.example", "", "alice@xn--bcher-kva.example"),
        ("alice@bu\u{308}cher.example", "", "alice@xn--bcher-kva.example"),
        ("alice@xn--bcher-kva.example", "", "alice@xn--bcher-kva.example"),
        ("alice@XN--BCHER-KVA.example", "", "alice@xn--bcher-kva.example"),
        ("alice@例え。テスト", "", "alice@xn--r8jz45g.xn--zckzah"),
        ("alice@ｅｘａｍｐｌｅ．ｃｏｍ", "", "alice@example.com"),
        ("alice@faß.example", "", "alice@xn--fa-hia.example"),
        // A joiner where the script needs one.
        ("a@نامه\u{200C}ای.example", "", "a@xn--mgba3gch31f060k.example"),
    ]);
}

#[test]
fn mailto_uris_by_rfc_6068() {
    check_table(&[
        ("mailto:Alice@example.com", "", "alice@example.com"),
        ("MAILTO:alice@example.com", "", "alice@example.com"),
        ("mailto:alice@example.com?subject=Hi&cc=bob@example.com", "", "alice@example.com"),
        ("mailto:alice+tag@example.com", "", "alice+tag@example.com"),
        ("mailto:alice%40example.com", "", "alice@example.com"),
        ("mailto:jos%C3%A9@example.com", "", "josé@example.com"),
        ("mailto:what%3F@example.com", "", "what?@example.com"),
        ("mailto:alice@example.com#top", "", "alice@example.com"),
        ("mailto:alice@example.com,bob@example.com", "", "not-an-address"),
        ("mailto:?to=alice@example.com", "", "not-an-address"),
        ("mailto:", "", "not-an-address"),
        ("mailto:alice", "", "not-an-address"),
        ("mailto:+14155550123", "", "not-an-address"),
        ("mailto:alice%@example.com", "", "not-an-address"),
        ("mailto:alice%FF@example.com", "", "not-an-address"),
        ("mailto:%22@%22", "", "not-an-address"),
        ("mailto:%22", "", "not-an-address"),
    ]);
}

#[test]
fn addresses_that_public_mail_cannot_reach_are_refused() {
    let refused = [
        "@",
        "@example.com",
        "alice@",
        "alice@@example.com",
        "a@b@example.com",
        "\"@",
        "\"@\"",
        "\"\"@example.com",
        // Needs its quotes.
        "\"al ice\"@example.com",
        "\"al@ice\"@example.com",
        "\"a..b\"@example.com",
        "\"a\\\"b\"@example.com",
        // Not a dot-atom.
        ".alice@example.com",
        "alice.@example.com",
        "al..ice@example.com",
        "al ice@example.com",
        "al;ice@example.com",
        "al,ice@example.com",
        "al\\ice@example.com",
        "\"al\\\"@example.com",
        "alice@example..com",
        "alice@.example.com",
        "alice@example.com.",
        "alice@example.com。",
        "Alice <alice@example.com>",
        "<alice@example.com>",
        "alice@example.com (work)",
        "sip:alice@example.com",
        "alice＠example.com",
        // Literals, addresses, single labels.
        "alice@[127.0.0.1]",
        "alice@[IPv6:::1]",
        "alice@127.0.0.1",
        "alice@example.123",
        "alice@localhost",
        // Labels.
        "alice@-example.com",
        "alice@example-.com",
        "alice@exa_mple.com",
        "alice@exam!ple.com",
        "alice@xn--.com",
        "alice@xn--a.com",
        "alice@xn--example.com",
        "alice@\u{301}a.com",
    ];
    for input in refused {
        assert_eq!(parsed(input, ""), "not-an-address", "{input:?}");
    }
}

#[test]
fn invisible_characters_are_refused() {
    let hidden = [
        '\0',
        '\u{7}',
        '\u{7F}',
        '\u{85}',
        '\u{A0}',
        '\u{AD}',
        '\u{34F}',
        '\u{61C}',
        '\u{115F}',
        '\u{180E}',
        '\u{200B}',
        '\u{200C}',
        '\u{200D}',
        '\u{200E}',
        '\u{202E}',
        '\u{2028}',
        '\u{2029}',
        '\u{2060}',
        '\u{2066}',
        '\u{3000}',
        '\u{3164}',
        '\u{FE0F}',
        '\u{FEFF}',
        '\u{FFF9}',
        '\u{E0001}',
        '\u{E0101}',
        // Not assigned, private, not a character.
        '\u{378}',
        '\u{E000}',
        '\u{F0000}',
        '\u{FFFF}',
        '\u{10FFFF}',
        // Turns into a semicolon.
        '\u{37E}',
    ];
    for c in hidden {
        assert_eq!(
            parsed(&format!("al{c}ice@example.com"), ""),
            "not-an-address",
            "{:?} in local",
            c
        );
        if !matches!(c, '\u{3000}') {
            assert_eq!(
                parsed(&format!("alice@exa{c}mple.com"), ""),
                "not-an-address",
                "{:?} in domain",
                c
            );
        }
    }
}

#[test]
fn lengths_are_those_of_the_canonical_form() {
    let local = |length: usize| format!("{}@example.com", "a".repeat(length));
    assert_eq!(parsed(&local(64), ""), local(64));
    assert_eq!(parsed(&local(65), ""), "too-long");
    // A capital eszett is three bytes and folds to two.
    assert_eq!(
        parsed(&format!("{}@example.com", "ẞ".repeat(32)), ""),
        format!("{}@example.com", "s".repeat(64))
    );
    assert_eq!(parsed(&format!("{}@example.com", "ẞ".repeat(33)), ""), "too-long");

    let labels = format!("{0}.{0}.{0}", "d".repeat(60));
    let total = |length: usize| format!("{}@{labels}.com", "a".repeat(length - labels.len() - 5));
    assert_eq!(parsed(&total(240), ""), total(240));
    assert_eq!(
        parsed(&format!("a@{}.com", "d".repeat(63)), ""),
        format!("a@{}.com", "d".repeat(63))
    );
    assert_eq!(parsed(&format!("a@{}.com", "d".repeat(64)), ""), "not-an-address");
    let at_most = format!("{}@{labels}.{}", "a".repeat(64), "e".repeat(6));
    assert_eq!(at_most.len(), 254);
    assert_eq!(parsed(&at_most, ""), at_most);
    assert_eq!(parsed(&format!("{at_most}e"), ""), "too-long");
}

/// Tries every character, since a new Unicode version could add one whose folding is not stable.
#[test]
fn folding_is_stable_for_every_character() {
    for c in '\u{80}'..=char::MAX {
        let input = format!("x{c}\u{345}@example.com");
        let once = parsed(&input, "");
        if once != "not-an-address" {
            assert_eq!(parsed(&once, ""), once, "U+{:04X}", u32::from(c));
        }
        let alone = parsed(&format!("{c}@example.com"), "");
        if alone != "not-an-address" {
            assert_eq!(parsed(&alone, ""), alone, "U+{:04X}", u32::from(c));
        }
    }
}

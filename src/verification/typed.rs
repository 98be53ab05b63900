//! Codes as people type and paste them.
//!
//! Around and between the characters of a code may stand blanks of any kind, line ends, punctuation, symbols, and characters
//! that programs do not show. Digits may be those of any script. Any other character, such as a letter, makes the text no code.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup},
};
use zeroize::Zeroizing;

use super::code::CODE_DIGITS;

/// The six digits of a code, in ASCII. None if the text is no such code.
pub(super) fn digits(text: &str) -> Option<Zeroizing<String>> {
    read(text, CODE_DIGITS, |c| c.is_ascii_digit().then_some(c))
}

/// Exactly `count` characters, each as `issued` returns it; none if it returns none for any. Other scripts' digits and
/// full-width letters reach `issued` as ASCII.
pub(super) fn read(
    text: &str,
    count: usize,
    issued: impl Fn(char) -> Option<char>,
) -> Option<Zeroizing<String>> {
    // All are ASCII, so this is its whole length: a string that grows would leave copies in memory.
    let mut code = Zeroizing::new(String::with_capacity(count));
    for typed in text.chars().filter(|typed| !is_separator(*typed)) {
        let issued = issued(as_ascii(typed)).filter(char::is_ascii)?;
        if code.len() == count {
            return None;
        }
        code.push(issued);
    }
    (code.len() == count).then_some(code)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn is_separator(c: char) -> bool {
    const SEPARATORS: GeneralCategoryGroup = GeneralCategoryGroup::Punctuation
        .union(GeneralCategoryGroup::Symbol)
        .union(GeneralCategoryGroup::Control)
        .union(GeneralCategoryGroup::Format);

    match c {
        // The long vowel mark, a letter, serves as a dash in Japanese.
        '\u{30FC}' => true,
        _ if c.is_ascii_alphanumeric() => false,
        _ if c.is_whitespace() => true,
        _ if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c) => true,
        _ => SEPARATORS.contains(category(c)),
    }
}

/// The ASCII character that a digit of another script or a full-width letter stands for; any other character as it is.
fn as_ascii(c: char) -> char {
    const FULL_WIDTH: u32 = 0xFEE0;

    if c.is_ascii() {
        return c;
    }
    if matches!(c, '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}') {
        return char::from_u32(u32::from(c) - FULL_WIDTH).unwrap_or(c);
    }
    digit_value(c).and_then(|value| char::from_digit(value, 10)).unwrap_or(c)
}

/// The value of a decimal digit. Unicode encodes the ten digits of a script one after the other, from zero to nine, and has
/// promised so (Unicode Standard, section 4.6). So the place in an unbroken run of digits says the value.
fn digit_value(c: char) -> Option<u32> {
    let is_digit = |c: char| category(c) == GeneralCategory::DecimalNumber;
    if !is_digit(c) {
        return None;
    }
    let before = (0..u32::from(c)).rev().map_while(char::from_u32).take_while(|c| is_digit(*c));
    u32::try_from(before.count() % 10).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_as(text: &str) -> Option<String> {
        digits(text).map(|code| code.to_string())
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for text in [
            "123456",
            " 123456\n",
            "123 456",
            "123-456",
            "1.2.3.4.5.6",
            "12\u{2013}34\u{2014}56",
            "\u{A0}123\u{A0}456",
            "\u{200E}123456\u{200F}",
            "\u{2066}123456\u{2069}",
            "\u{FEFF}123456",
            "123\u{200B}456\r\n",
            "\u{FF11}\u{FF12}\u{FF13}\u{FF14}\u{FF15}\u{FF16}",
            "١٢٣٤٥٦",
            "۱۲۳۴۵۶",
            "१२३४५६",
            "𝟷𝟸𝟹𝟺𝟻𝟼",
            "123\t456",
            "1234\u{AD}56",
            "(123456)",
            "[123456]",
            "\"123456\"",
            "\u{201C}123\u{2019}456\u{201E}",
            "\u{300C}123456\u{300D}",
            "123456#",
            "#123456!",
            "12_34_56",
            "12/34/56",
            "123,456;",
            "123\u{B7}456",
            "123\u{30FB}456\u{30FC}",
            "<123456>",
            "1+2=3|4~5^6",
            "*`123456`*",
            "123\u{2212}456 \u{2705}",
        ] {
            assert_eq!(read_as(text).as_deref(), Some("123456"), "{text:?}");
        }
        for text in [
            "",
            " ",
            "12345",
            "1234567",
            "12345a",
            "G-123456",
            "(12345)",
            "1234567#",
            "①②③④⑤⑥",
            "no code",
            "½23456",
            "123456\u{E9}",
        ] {
            assert_eq!(read_as(text), None, "{text:?}");
        }
    }

    #[test]
    fn digits_of_every_script_have_their_value() {
        // Zero, and nine behind it, of every script that the standard library's tables know by another way.
        for zero in
            [0x660, 0x6F0, 0x7C0, 0x966, 0xE50, 0x1040, 0x17E0, 0xFF10, 0x1D7CE, 0x1D7F6, 0x1FBF0]
        {
            for value in 0..10 {
                let c = char::from_u32(zero + value).expect("a digit");
                assert_eq!(digit_value(c), Some(value), "{zero:x}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_is_read_as_more_or_less_than_a_code(text: String) {
            if let Some(code) = digits(&text) {
                prop_assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }

        #[test]
        fn separators_between_digits_do_not_matter(code in "[0-9]{6}", seams in proptest::collection::vec("[ .\u{200B}\u{2014}\u{A0}\n()\"#_$-]{0,2}", 7)) {
            let mut text = seams[0].clone();
            for (digit, seam) in code.chars().zip(&seams[1..]) {
                text.push(digit);
                text.push_str(seam);
            }
            prop_assert_eq!(read_as(&text), Some(code));
        }
    }
}

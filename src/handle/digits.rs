//! The characters of a phone number: digits of any script, one leading plus sign, separators.
//!
//! The library would also accept words around a number, and letters as digits. Both are more likely a mistake than a
//! handle. This module also refuses a text that is not one number although it has only digits and separators: what a
//! spreadsheet made of a number, and two lines.

use icu_properties::{CodePointMapData, props::GeneralCategory};
use rlibphonenumber::PHONE_NUMBER_UTIL;

use crate::handle::{HandleError, wrapping};

/// The digits of a number.
pub(super) struct Digits {
    /// ASCII digits, after a plus sign if the number has one.
    pub(super) text: String,
    /// Where slashes divide [`Self::text`], in ascending order.
    pub(super) slashes: Vec<usize>,
}

/// Reads the digits. An error says whether the text has an extension.
pub(super) fn read(text: &str) -> Result<Digits, HandleError> {
    // Nothing follows a pause at the end.
    let number = text.trim_end_matches(|c: char| is_pause(c) || c.is_whitespace());
    if is_decimal(number) {
        return Err(HandleError::NotANumber);
    }
    strip_separators(number).map_err(|end| why_not_digits(number, end))
}

/// Whether a spreadsheet turned the number into a decimal fraction: `4915123456789.0`. Its zeros would make another
/// number.
///
/// Dots may also be separators (`+33.6.39.98.12.00`, `(415) 555.0000`). Therefore this takes a single dot or comma
/// followed by zeros only, and more than two zeros only if the number has no other separator. Zeros of any script count,
/// whatever separates them from the dot.
fn is_decimal(text: &str) -> bool {
    let is_point = |c| {
        matches!(
            c,
            '.' | ','
                | '\u{B7}'
                | '\u{387}'
                | '\u{66B}'
                | '\u{2024}'
                | '\u{2027}'
                | '\u{2219}'
                | '\u{22C5}'
                | '\u{FF0C}'
                | '\u{FF0E}'
        )
    };
    let is_zero = |c: char| match c {
        '0' => true,
        _ if c.is_ascii() => false,
        _ => PHONE_NUMBER_UTIL.normalize_digits_only(c.encode_utf8(&mut [0; 4])) == "0",
    };
    let Some((whole, zeros)) = text.rsplit_once(is_point) else {
        return false;
    };
    let Some(point) = text[whole.len()..].chars().next() else {
        return false;
    };
    let zeros: Vec<char> = zeros.chars().filter(|c| !is_separator(*c)).collect();
    let only_zeros = !zeros.is_empty() && zeros.iter().all(|c| is_zero(*c));
    let is_plain = || whole.trim_start_matches(['\'', '+']).chars().all(char::is_numeric);
    only_zeros && !whole.contains(point) && (zeros.len() <= 2 || is_plain())
}

/// The digits, or where the first character is that no number has.
fn strip_separators(text: &str) -> Result<Digits, usize> {
    let mut digits = Digits { text: String::with_capacity(text.len()), slashes: Vec::new() };
    for (at, c) in text.char_indices() {
        match c {
            '0'..='9' => digits.text.push(c),
            '+' | '\u{FF0B}' if digits.text.is_empty() => digits.text.push('+'),
            '/' | '\u{FF0F}' => digits.slashes.push(digits.text.len()),
            _ if is_separator(c) || is_placeholder(c, &digits.text) => {}
            _ if c.is_ascii() => return Err(at),
            _ => match PHONE_NUMBER_UTIL.normalize_digits_only(c.encode_utf8(&mut [0; 4])) {
                digit if digit.is_empty() => return Err(at),
                digit => digits.text.push_str(&digit),
            },
        }
    }
    Ok(digits)
}

/// White space within a line, dots, dashes and brackets, half and full width, and what programs do not show.
fn is_separator(c: char) -> bool {
    match c {
        ' ' | '-' | '.' | '(' | ')' | '[' | ']' => true,
        // A line break separates two numbers. [`is_placeholder`] takes tabs.
        '\t' | '\n' | '\u{B}' | '\u{C}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => false,
        // Minus signs, and the long vowel mark that serves as a dash in Japanese.
        '\u{2043}' | '\u{2212}' | '\u{30FC}'
        // Dots at the middle and at the base line.
        | '\u{B7}' | '\u{387}' | '\u{2022}' | '\u{2024}' | '\u{2027}' | '\u{2219}' | '\u{22C5}' | '\u{30FB}'
        | '\u{FF0E}' | '\u{FF65}'
        | '\u{FF08}' | '\u{FF09}' | '\u{FF3B}' | '\u{FF3D}'
        // The frame of a keycap, which a variation selector precedes.
        | '\u{20E3}' => true,
        _ if c.is_whitespace() || wrapping::is_invisible(c) => true,
        _ => CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::DashPunctuation,
    }
}

/// Characters that stand for something at one place of a number only, after `before`.
fn is_placeholder(c: char, before: &str) -> bool {
    match c {
        // A tab separates the cells of a table, and their numbers. After a plus sign another number would have one, too.
        '\t' => before.starts_with('+'),
        // A spreadsheet's mark before text that looks like a number.
        '\'' | '\u{2018}' | '\u{2019}' => before.is_empty(),
        // Wait for a second dial tone: `8~10` in Russia.
        '~' | '\u{2053}' | '\u{223C}' | '\u{FF5E}' => before.len() == 1 && before != "+",
        // The carrier that a caller chooses, in Brazil: `(0xx11)`.
        'x' | 'X' => matches!(before, "0" | "+550"),
        _ => false,
    }
}

/// Where a phone pauses before it dials what follows. Some phones write `p` or `w` instead.
fn is_pause(c: char) -> bool {
    matches!(c, ',' | ';' | '\u{FF0C}' | '\u{FF1B}')
}

/// Distinguishes a number with an extension, in any form that phones or the library know, from other text. `end` is where
/// the first character is that no number has.
fn why_not_digits(text: &str, end: usize) -> HandleError {
    if let Some(reason) = dialled_later(text, end) {
        return reason;
    }
    // If `tel:` follows this parameter, the library panics on an invalid slice and prints the text. `uri::tel_number` has
    // already removed the parameter of a valid URI.
    if text.contains(";phone-context=") {
        return HandleError::NotANumber;
    }
    // The form of an extension does not depend on the region, but without one the library does not look for it.
    match PHONE_NUMBER_UTIL.parse(text, Some(rlibphonenumber::Region::US)) {
        Ok(number) if number.extension.is_some() => HandleError::Extension,
        _ => HandleError::NotANumber,
    }
}

/// Whether a pause and more digits follow the number. They are an extension, but after a single comma or semicolon a
/// second number, if they are as many as a number has.
fn dialled_later(text: &str, end: usize) -> Option<HandleError> {
    // Fewer digits before the first comma are the first group of a number with commas.
    const NUMBER_DIGITS_MIN: usize = 4;
    const NUMBER_DIGITS: usize = 7;

    let is_key = |c: &char| is_pause(*c) || matches!(c, 'p' | 'P' | 'w' | 'W' | '#' | '*');
    let (number, rest) = text.split_at(end);
    let number =
        strip_separators(number).ok().filter(|number| number.text.len() >= NUMBER_DIGITS_MIN)?;
    rest.chars().next().filter(|c| is_key(c) && !matches!(c, '#' | '*'))?;
    let dialled: String = rest.chars().filter(|c| !is_key(c)).collect();
    let dialled = strip_separators(&dialled).ok().filter(|dialled| !dialled.text.is_empty())?;
    let is_second = rest.starts_with(is_pause)
        && rest.chars().filter(is_key).count() == 1
        && dialled.text.len() >= number.text.len().min(NUMBER_DIGITS);
    Some(if is_second { HandleError::NotANumber } else { HandleError::Extension })
}

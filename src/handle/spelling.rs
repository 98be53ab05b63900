//! Subscribers whose number has two spellings.
//!
//! Some countries changed the spelling of a number without changing its subscriber. A former spelling that is no longer a
//! valid number is rewritten to the present one ([`rewrite_former`]). If both are valid numbers they stay two handles, and
//! a lookup of one may try the other ([`other_spelling`]).

use rlibphonenumber::PhoneNumber;

/// A national significant number. Leading zeros are significant, so it stores the number of digits as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct National {
    /// The integer of the digits.
    pub(super) value: u64,
    /// The number of digits.
    pub(super) digits: u32,
}

impl National {
    /// From the library's type, which stores an integer and the number of leading zeros.
    pub(super) fn of(number: &PhoneNumber) -> Self {
        let zeros = if number.italian_leading_zero() {
            u32::try_from(number.number_of_leading_zeros()).unwrap_or(1)
        } else {
            0
        };
        let value = number.national_number;
        Self { value, digits: zeros + decimal_digits(value) }
    }

    /// The first `count` digits, with leading zeros. `count` must not exceed the number of digits.
    const fn first(self, count: u32) -> u64 {
        self.value / 10_u64.pow(self.digits - count)
    }

    /// The number with `digits` digits of `prefix` instead of its first `dropped` digits.
    const fn with_prefix(self, dropped: u32, prefix: u64, digits: u32) -> Self {
        let kept = self.digits - dropped;
        let scale = 10_u64.pow(kept);
        Self { value: prefix * scale + self.value % scale, digits: digits + kept }
    }

    fn store(self, number: &mut PhoneNumber) {
        let zeros = self.digits.saturating_sub(decimal_digits(self.value));
        number.national_number = self.value;
        number.italian_leading_zero = (zeros > 0).then_some(true);
        number.number_of_leading_zeros =
            (zeros > 1).then(|| i32::try_from(zeros).unwrap_or(i32::MAX));
    }
}

/// The number of decimal digits of an integer.
pub(super) const fn decimal_digits(value: u64) -> u32 {
    match value.checked_ilog10() {
        Some(log) => log + 1,
        None => 1,
    }
}

/// Rewrites a former spelling to the present one. Must precede every check of the length.
///
/// Takes only spellings that no longer exist and that lead to one number today:
///
/// | country | until | former digits | today |
/// | --- | --- | --- | --- |
/// | Qatar | July 2010 | 7, first 3 to 7 | the first digit twice |
/// | Egypt | October 2011 | 9, a mobile code of two digits | a code of three digits |
/// | Ecuador | September 2012 | 8, first 8 or 9 | a 9 before them |
/// | Mauritius | September 2013 | 7, first 7 or 9 | a 5 before them |
/// | Cameroon | November 2014 | 8, first 2, 3, 5, 7 or 9 | 2 (land lines) or 6 before them |
/// | Vietnam | September 2018 | 10, a mobile code of three digits | a code of two digits |
/// | Mexico | August 2019 | 11, first 1 | without the 1, which preceded mobile numbers in calls from abroad |
/// | Ivory Coast | January 2021 | 8 | two digits of the operator before them |
/// | Benin | November 2024 | 8 | 01 before them |
pub(super) fn rewrite_former(number: &mut PhoneNumber) {
    let former = National::of(number);
    let today = match (number.country_code, former.digits) {
        (20, 9) => egypt(former),
        (52, 11) if former.first(1) == 1 => Some(former.with_prefix(1, 0, 0)),
        (84, 10) => vietnam(former),
        (225, 8) => ivory_coast(former),
        (229, 8) => Some(former.with_prefix(0, 1, 2)),
        (230, 7) if matches!(former.first(1), 7 | 9) => Some(former.with_prefix(0, 5, 1)),
        (237, 8) => match former.first(1) {
            2 | 3 => Some(former.with_prefix(0, 2, 1)),
            5 | 7 | 9 => Some(former.with_prefix(0, 6, 1)),
            _ => None,
        },
        (593, 8) if former.first(1) >= 8 => Some(former.with_prefix(0, 9, 1)),
        (974, 7) if matches!(former.first(1), 3..=7) => {
            Some(former.with_prefix(0, former.first(1), 1))
        }
        _ => None,
    };
    if let Some(today) = today {
        today.store(number);
    }
}

fn egypt(former: National) -> Option<National> {
    let code = match former.first(2) {
        code @ (10 | 16 | 19) => 100 + code % 10,
        code @ (11 | 14) => 110 + code % 10,
        code @ (12 | 17 | 18) => 120 + code % 10,
        _ => return None,
    };
    Some(former.with_prefix(2, code, 3))
}

fn vietnam(former: National) -> Option<National> {
    let code = match former.first(3) {
        120 => 70,
        121 => 79,
        122 => 77,
        123 => 83,
        124 => 84,
        125 => 85,
        126 => 76,
        127 => 81,
        128 => 78,
        129 => 82,
        code @ 162..=169 => code - 130,
        code @ (186 | 188) => code - 130,
        199 => 59,
        _ => return None,
    };
    Some(former.with_prefix(3, code, 2))
}

/// The second digit names the operator of a mobile number, the third digit that of a land line. Special numbers (first
/// digit 1, or 80 and 90) did not change.
fn ivory_coast(former: National) -> Option<National> {
    let operator = match (former.first(1), former.first(2) % 10, former.first(3) % 10) {
        (2 | 3, _, 8) => 21,
        (2 | 3, _, 0) => 25,
        (2 | 3, ..) => 27,
        (0, 1..=3, _) | (4 | 5 | 7, 0..=3, _) => 1,
        (0 | 4..=9, 4..=6, _) => 5,
        (0 | 4..=9, 7..=9, _) => 7,
        _ => return None,
    };
    Some(former.with_prefix(0, operator, 2))
}

/// The other spelling of the same subscriber, where both are valid numbers. Takes and returns all digits of E.164.
///
/// - Argentina: `+54 9` and 10 digits is a mobile number, and many people write `+54` and the same 10 digits. Only for area
///   codes, which begin with 1, 2 or 3: `+54 800…` is no subscriber.
/// - Brazil: an area code (two digits, no zero) and 9 digits that begin with 9, or the same without that 9, as before 2016.
///   Only if the remaining 8 digits begin with 6 to 9, the old mobile range. Others are land lines, and with a ninth digit
///   they would be somebody else's mobile number.
///
/// Applied twice, it returns the given number.
pub(super) const fn other_spelling(number: u64) -> Option<u64> {
    match number / E10 {
        54 => argentina(number % E10, 549),
        549 => argentina(number % E10, 54),
        55 => brazil(number % E10 / E8, number % E8, false),
        // 13 digits: +55, area code, the ninth digit and eight more.
        _ if number / E11 == 55 && number / E8 % 10 == 9 => {
            brazil(number % E11 / E9, number % E8, true)
        }
        _ => None,
    }
}

const E8: u64 = 10_u64.pow(8);
const E9: u64 = 10_u64.pow(9);
const E10: u64 = 10_u64.pow(10);
const E11: u64 = 10_u64.pow(11);

const fn argentina(area_and_subscriber: u64, prefix: u64) -> Option<u64> {
    match area_and_subscriber / E9 {
        1..=3 => Some(prefix * E10 + area_and_subscriber),
        _ => None,
    }
}

const fn brazil(area: u64, subscriber: u64, has_ninth_digit: bool) -> Option<u64> {
    if area < 11 || area.is_multiple_of(10) || subscriber < 6 * E8 / 10 {
        return None;
    }
    Some(if has_ninth_digit {
        55 * E10 + area * E8 + subscriber
    } else {
        55 * E11 + area * E9 + 9 * E8 + subscriber
    })
}

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
/// - Mexico, August 2019: `+521` and 10 digits lost the 1, which preceded mobile numbers in calls from abroad.
/// - Benin, November 2024: `+229` and 8 digits got a leading 01.
pub(super) fn rewrite_former(number: &mut PhoneNumber) {
    let former = National::of(number);
    let today = match (number.country_code, former.digits) {
        (52, 11) if former.value / 10_u64.pow(10) == 1 => {
            National { value: former.value % 10_u64.pow(10), digits: 10 }
        }
        (229, 8) => National { value: 10_u64.pow(8) + former.value, digits: 10 },
        _ => return,
    };
    today.store(number);
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

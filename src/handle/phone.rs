//! Phone numbers: parses text to E.164.
//!
//! [`digits`] decides which characters a number may have, and the library what the digits mean: calling code, trunk
//! prefix, valid lengths of the country.
//!
//! Numbers with letters (`1-800-FLOWERS`) are refused. No phone sends messages from one or proves one, and letters read as
//! digits would turn a mistyped name into a stranger's number.
//!
//! With a plus sign the region has no effect, so a canonical number means the same for every client. A caller may
//! therefore look up text in the form of E.164 before parsing it: see [`PhoneKey::from_e164`].

use std::num::NonZeroU64;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, ParseError, ValidationError};

use crate::{
    handle::{
        HandleError, Region,
        digits::{self, Digits},
        spelling::{self, National},
    },
    limits,
    redacted::redacted_debug,
};

/// A phone number in E.164, stored as the integer of its digits. The mapping is exact, since a number has at most 15
/// digits and does not begin with a zero (ITU-T E.164). The integer is the key of the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneKey(NonZeroU64);

/// The smallest number of seven digits, the shortest length including the calling code (Niue: `+683` and four).
const KEY_MIN: u64 = 10_u64.pow(6);
/// One above the largest number of 15 digits.
const KEY_END: u64 = 10_u64.pow(15);

impl PhoneKey {
    /// Reads exactly `+` and 7 to 15 digits, the first not zero. Only [`Handle::parse`](crate::handle::Handle::parse)
    /// decides whether such a number can exist.
    ///
    /// This is the fast path of a lookup. It may query an index of canonical handles with this key first. A hit is correct,
    /// since a canonical number parses to itself in every region. Only a miss needs the parser.
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?.as_bytes();
        if !(7..=15).contains(&digits.len()) || digits.first() == Some(&b'0') {
            return None;
        }
        let mut number = 0u64;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
        }
        NonZeroU64::new(number).map(Self)
    }

    /// The integer of the digits, to store.
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// From a stored integer. None if it has fewer than 7 or more than 15 digits.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (KEY_MIN..KEY_END).contains(&bits).then(|| NonZeroU64::new(bits).map(Self))?
    }

    /// The text, without an allocation.
    pub fn e164(self) -> E164 {
        let mut text = E164 { bytes: [b'+'; 16], start: 16 };
        let mut rest = self.bits();
        while rest > 0 {
            text.start -= 1;
            // Below ten, so the cast is exact.
            text.bytes[text.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // At most 15 of the 16 bytes are digits, and the others are plus signs.
        text.start -= 1;
        text
    }

    /// The country calling code, of one to three digits (ITU-T E.164): no code is the beginning of another.
    pub fn calling_code(self) -> u16 {
        let digits = spelling::decimal_digits(self.bits());
        let first = |count: u32| (self.bits() / 10_u64.pow(digits.saturating_sub(count))) as u16;
        let has_two_digits = matches!(
            first(2),
            20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98
        );
        match first(1) {
            1 | 7 => first(1),
            _ if has_two_digits => first(2),
            _ => first(3),
        }
    }

    /// The other spelling of the same subscriber, where both are valid numbers: Argentina with and without the 9, Brazil
    /// with and without the ninth digit.
    pub fn other_spelling(self) -> Option<Self> {
        spelling::other_spelling(self.bits()).and_then(Self::from_bits)
    }

    /// The one of the two spellings that stands for both.
    pub fn first_spelling(self) -> Self {
        self.other_spelling().map_or(self, |other| other.min(self))
    }

    /// From a calling code and a national number.
    fn new(calling_code: u64, national: National) -> Result<Self, HandleError> {
        let digits = spelling::decimal_digits(calling_code) + national.digits;
        match digits {
            0..7 => Err(HandleError::TooShort),
            16.. => Err(HandleError::TooLong),
            _ => Self::from_bits(calling_code * 10_u64.pow(national.digits) + national.value)
                .ok_or(HandleError::UnknownCountry),
        }
    }
}

redacted_debug!(PhoneKey, E164);

/// The text of a [`PhoneKey`]: `+` and its digits, on the stack.
#[derive(Clone, Copy)]
pub struct E164 {
    bytes: [u8; 16],
    start: usize,
}

impl E164 {
    /// The text as `str`.
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII, so the default is never used.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as bytes, all ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Parses a number without a URI scheme. Calls `region` only if the number has no calling code after a plus sign.
pub(super) fn parse(
    text: &str,
    region: impl FnOnce() -> Result<Option<Region>, HandleError>,
) -> Result<PhoneKey, HandleError> {
    if PhoneKey::from_e164(text).is_some() {
        return parse_digits(text, None);
    }
    let number = digits::read(text)?;
    let digits = number.text.strip_prefix('+');
    match digits.unwrap_or(&number.text).len() {
        0 => return Err(HandleError::NotANumber),
        count if count > limits::PHONE_DIGITS_MAX => return Err(HandleError::TooLong),
        _ => {}
    }
    let region = match digits {
        None => Some(region()?.ok_or(HandleError::NeedsRegion)?),
        // No calling code begins with a zero. This is the prefix of calls abroad, which depends on the region.
        Some(digits) if digits.starts_with('0') => region()?,
        Some(_) => None,
    };
    if has_second_number(&number, region) {
        return Err(HandleError::NotANumber);
    }
    parse_digits(&number.text, region)
}

/// Whether a slash divides two numbers (`22123/22124`) or begins the end of a range (`030 1234567/68`).
///
/// Other slashes are separators: no complete number is before them (`0151/23456789`), or what is behind them is neither a
/// number nor as short as a range.
fn has_second_number(number: &Digits, region: Option<Region>) -> bool {
    const RANGE_DIGITS_MAX: usize = 3;

    let ends = number.slashes.iter().skip(1).copied().chain([number.text.len()]);
    number.slashes.iter().zip(ends).filter(|(slash, end)| **slash < *end).any(|(slash, end)| {
        let before = PHONE_NUMBER_UTIL.parse(&number.text[..*slash], region.map(Region::library));
        before.is_ok_and(|before| {
            let digits = National::of(&before).digits as usize;
            let behind = &number.text[*slash..end];
            let is_valid = |behind| PHONE_NUMBER_UTIL.is_valid_number(&behind);
            let is_second = behind.len() <= RANGE_DIGITS_MAX
                || behind.len() >= digits
                || PHONE_NUMBER_UTIL.parse(behind, region.map(Region::library)).is_ok_and(is_valid);
            is_second && PHONE_NUMBER_UTIL.is_valid_number(&before)
        })
    })
}

/// Parses digits repeatedly until the result is stable. The library removes one trunk prefix at a time (`+49 0 0 89…`), and
/// a stored number must parse to itself.
fn parse_digits(digits: &str, region: Option<Region>) -> Result<PhoneKey, HandleError> {
    const ROUNDS_MAX: usize = 4;

    let mut key = parse_once(digits, region)?;
    if key.e164().as_str() == digits {
        return Ok(key);
    }
    for _ in 0..ROUNDS_MAX {
        let again = parse_once(key.e164().as_str(), None)?;
        if again == key {
            return Ok(key);
        }
        key = again;
    }
    Err(HandleError::NotANumber)
}

/// Parses digits with an optional plus sign.
fn parse_once(digits: &str, region: Option<Region>) -> Result<PhoneKey, HandleError> {
    let mut number =
        PHONE_NUMBER_UTIL.parse(digits, region.map(Region::library)).map_err(|error| {
            match error {
                ParseError::InvalidCountryCode => HandleError::UnknownCountry,
                ParseError::TooLongNsn => HandleError::TooLong,
                // The text has only digits, so the library can only require more of them.
                ParseError::NotANumber(_)
                | ParseError::TooShortAfterIdd
                | ParseError::TooShortNsn => HandleError::TooShort,
            }
        })?;
    spelling::rewrite_former(&mut number);
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
        Ok(NumberLengthType::IsPossible) => {}
        // Without an area code, the number belongs to somebody else in another area.
        Ok(NumberLengthType::IsPossibleLocalOnly)
        | Err(ValidationError::TooShort | ValidationError::InvalidLength) => {
            return Err(HandleError::TooShort);
        }
        Err(ValidationError::TooLong) => return Err(HandleError::TooLong),
        Err(ValidationError::InvalidCountryCode) => return Err(HandleError::UnknownCountry),
    }
    let calling_code =
        u64::try_from(number.country_code).map_err(|_| HandleError::UnknownCountry)?;
    PhoneKey::new(calling_code, National::of(&number))
}

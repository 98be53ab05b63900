//! Phone numbers: text to E.164.
//!
//! What counts as written like a number is decided here, strictly: digits of any script, one plus sign in front,
//! separators. The library would take much more (words around the number, letters for digits); a handle with words in
//! it is more likely somebody's mistake than a number. What the digits *mean* is the library's to say: calling code,
//! trunk prefix, how long a number of that country is.
//!
//! Numbers with letters (`1-800-FLOWERS`) are refused: a text message never comes from one, nobody proves one, and
//! reading letters as digits turns a mistyped name into a stranger's number.
//!
//! With a plus sign the region plays no part at all, so that a canonical number means the same to every asker. That is
//! also what allows a caller to look an E.164-shaped text up before parsing it: see [`PhoneKey::from_e164`].

use std::{fmt, num::NonZeroU64};

use icu_properties::{CodePointMapData, props::GeneralCategory};
use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, ParseError, ValidationError};

use crate::{
    handle::{
        HandleError, Region,
        spelling::{self, National},
    },
    limits,
};

/// A phone number in E.164: its digits as a number. Exact, since a number has at most 15 digits and none begins with
/// a zero (ITU-T E.164), so it is its own key in the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneKey(NonZeroU64);

/// The fewest digits of a number with its calling code (Niue: `+683` and four).
const KEY_MIN: u64 = 10_u64.pow(6);
/// One more than the largest number of 15 digits.
const KEY_END: u64 = 10_u64.pow(15);

impl PhoneKey {
    /// Reads `+` and 7 to 15 digits, the first not zero, and nothing else. Says nothing about whether such a number
    /// can exist: that is [`Handle::parse`](crate::handle::Handle::parse)'s to decide.
    ///
    /// This is the fast path of a lookup: an index that holds only parsed handles may be asked with this key first. A
    /// hit is right, since a canonical number parses to itself in every region; only a miss needs the parser.
    #[must_use]
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

    /// The digits as a number, to store.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0.get()
    }

    /// From the digits as a number, as stored.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        (KEY_MIN..KEY_END).contains(&bits).then(|| NonZeroU64::new(bits).map(Self))?
    }

    /// The number as text, without an allocation.
    #[must_use]
    pub fn e164(self) -> E164 {
        let mut text = E164 { bytes: [b'+'; 16], start: 16 };
        let mut rest = self.bits();
        while rest > 0 {
            text.start -= 1;
            // Below ten, so nothing is lost.
            text.bytes[text.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // At most 15 digits were written, so the plus sign's place is still free.
        text.start -= 1;
        text
    }

    /// The other spelling of the same subscriber, where both are numbers: Argentina with and without the 9, Brazil
    /// with and without the ninth digit.
    #[must_use]
    pub fn other_spelling(self) -> Option<Self> {
        spelling::other_spelling(self.bits()).and_then(Self::from_bits)
    }

    /// From a calling code and what follows it.
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

impl fmt::Debug for PhoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneKey(…)")
    }
}

/// The text of a [`PhoneKey`]: `+` and its digits, on the stack.
#[derive(Clone, Copy)]
pub struct E164 {
    bytes: [u8; 16],
    start: usize,
}

impl E164 {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always ASCII; the empty text would be a bug, and is no number.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as bytes, all ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("E164(…)")
    }
}

/// Reads a number that is written in any way, with no scheme before it.
pub(super) fn parse(text: &str, region: Option<Region>) -> Result<PhoneKey, HandleError> {
    if PhoneKey::from_e164(text).is_some() {
        return settle(text, None);
    }
    let digits = strip_separators(text).ok_or_else(|| why_not_digits(text, region))?;
    let national = !digits.starts_with('+');
    match digits.chars().count() - usize::from(!national) {
        0 => Err(HandleError::NotANumber),
        count if count > limits::PHONE_DIGITS_MAX => Err(HandleError::TooLong),
        _ if national && region.is_none() => Err(HandleError::NeedsRegion),
        _ => settle(&digits, region.filter(|_| national)),
    }
}

/// Reads digits until reading what came out changes nothing: the library takes one trunk prefix away at a time
/// (`+49 0 0 89…`), and what is stored must parse to itself.
fn settle(digits: &str, region: Option<Region>) -> Result<PhoneKey, HandleError> {
    const ROUNDS_MAX: usize = 4;

    let mut key = read(digits, region)?;
    if key.e164().as_str() == digits {
        return Ok(key);
    }
    for _ in 0..ROUNDS_MAX {
        let again = read(key.e164().as_str(), None)?;
        if again == key {
            return Ok(key);
        }
        key = again;
    }
    Err(HandleError::NotANumber)
}

/// Reads a plus sign or none, and digits.
fn read(digits: &str, region: Option<Region>) -> Result<PhoneKey, HandleError> {
    let mut number =
        PHONE_NUMBER_UTIL.parse(digits, region.map(Region::library)).map_err(|error| {
            match error {
                ParseError::InvalidCountryCode => HandleError::UnknownCountry,
                ParseError::TooLongNsn => HandleError::TooLong,
                // Only digits came here, so the library can miss nothing but more of them.
                ParseError::NotANumber(_)
                | ParseError::TooShortAfterIdd
                | ParseError::TooShortNsn => HandleError::TooShort,
            }
        })?;
    spelling::rewrite_former(&mut number);
    match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
        Ok(NumberLengthType::IsPossible) => {}
        // Without its area code a number means someone else in the next town.
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

/// The plus sign, if there is one, and the digits; nothing if there is anything else than separators.
fn strip_separators(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' | '\u{FF0B}' if digits.is_empty() => digits.push('+'),
            _ if is_separator(c) => {}
            _ if CodePointMapData::<GeneralCategory>::new().get(c)
                == GeneralCategory::DecimalNumber =>
            {
                digits.push(c);
            }
            _ => return None,
        }
    }
    Some(digits)
}

/// White space, dots, dashes, brackets and slashes, half and full width, and the invisible marks that address books
/// put around a number to keep it from left to right when it is copied.
fn is_separator(c: char) -> bool {
    matches!(c,
        '-' | '.' | '(' | ')' | '[' | ']' | '/'
        | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' | '\u{FF0D}'..='\u{FF0F}'
        | '\u{FF08}' | '\u{FF09}' | '\u{FF3B}' | '\u{FF3D}'
        | '\u{00AD}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}'
        | '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
        || c.is_whitespace()
}

/// Tells a number with an extension, in any of the many ways the library knows, from what is no number.
fn why_not_digits(text: &str, region: Option<Region>) -> HandleError {
    // Where `tel:` comes after this, the library slices backwards: a panic, and one that prints the text. Contexts in
    // their proper place were taken off before.
    if text.contains(";phone-context=") {
        return HandleError::NotANumber;
    }
    // How an extension is written does not depend on the region, but without one the library gives up before looking.
    let region = region.map_or(rlibphonenumber::Region::US, Region::library);
    match PHONE_NUMBER_UTIL.parse(text, Some(region)) {
        Ok(number) if number.extension.is_some() => HandleError::Extension,
        _ => HandleError::NotANumber,
    }
}

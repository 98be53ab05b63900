//! Handles: text to a canonical handle, or a named refusal.
//!
//! A [`Handle`] is a phone number in E.164 or an e-mail address in canonical form; there is no other way to make one
//! than to parse text or to read back what was stored. The core takes `&Handle`, never `&str`.
//!
//! A handle is personal: [`std::fmt::Debug`] prints its kind only, and there is no `Display`. Where the canonical text
//! must leave (an answer, a record, the store), [`Handle::canonical`] says so by name.

use std::{borrow::Cow, fmt, num::NonZeroU64, sync::Arc};

use crate::limits;

/// A canonical handle.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handle {
    /// A phone number.
    Phone(PhoneKey),
    /// An e-mail address.
    Email(EmailAddress),
}

/// A phone number in E.164: its digits as a number. Exact, since a number has at most 15 digits and none begins with
/// a zero (ITU-T E.164), so it is its own key in the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneKey(NonZeroU64);

/// An e-mail address in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Arc<str>);

impl PhoneKey {
    /// Reads `+` and 7 to 15 digits, the first not zero, and nothing else. Says nothing about whether such a number
    /// can exist: that is [`Handle::parse`]'s to decide.
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
        (1_000_000..1_000_000_000_000_000)
            .contains(&bits)
            .then(|| NonZeroU64::new(bits).map(Self))?
    }
}

impl EmailAddress {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Handle {
    /// The canonical text: E.164, or the e-mail address in lower case with its domain as A-labels.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::Phone(key) => Cow::Owned(format!("+{}", key.bits())),
            Self::Email(address) => Cow::Borrowed(address.as_str()),
        }
    }

    /// Reads back what [`Handle::canonical`] wrote. For stored text only: it checks the form, not whether the text is
    /// canonical, so text from outside goes through [`Handle::parse`].
    #[must_use]
    pub fn from_canonical(text: &str) -> Option<Self> {
        if text.starts_with('+') {
            return PhoneKey::from_e164(text).map(Self::Phone);
        }
        let fits = text.len() <= limits::EMAIL_BYTES_MAX && text.contains('@');
        fits.then(|| Self::Email(EmailAddress(text.into())))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "Handle::Phone(…)",
            Self::Email(_) => "Handle::Email(…)",
        })
    }
}

impl fmt::Debug for PhoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneKey(…)")
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

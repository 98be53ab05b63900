//! Handles: text to a canonical handle, or a named refusal.
//!
//! A [`Handle`] is a phone number in E.164 or an e-mail address in canonical form; there is no other way to make one
//! than to parse text or to read back what was stored. The core takes `&Handle`, never `&str`.
//!
//! What holds for every text (`tests/invariants.rs`, shared with the fuzz target):
//!
//! - no text panics, and a refusal never holds the text;
//! - a canonical handle parses to itself, with every region and with none;
//! - so an index of canonical handles may be asked with [`PhoneKey::from_e164`] before anything is parsed.
//!
//! A handle is personal: [`std::fmt::Debug`] prints its kind only, and there is no `Display`. Where the canonical text
//! must leave (an answer, a record, the store), [`Handle::canonical`] and [`Handle::write_canonical`] say so by name.

mod email;
mod error;
mod phone;
mod region;
mod spelling;
mod uri;

use std::{borrow::Cow, fmt};

pub use email::EmailAddress;
pub use error::HandleError;
pub use phone::{E164, PhoneKey};
pub use region::{Region, warm_up};

use crate::limits;

/// A canonical handle.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handle {
    /// A phone number.
    Phone(PhoneKey),
    /// An e-mail address.
    Email(EmailAddress),
}

impl Handle {
    /// Reads a handle as people and programs write it: E.164, the same with separators, a national number of
    /// `region`, an e-mail address, a `tel:` or `mailto:` URI. White space around it does not count.
    ///
    /// What has an `@` or is a `mailto:` is meant as an address, everything else as a number; the reason of a refusal
    /// follows from that.
    ///
    /// # Errors
    /// The first thing wrong with it, by name.
    pub fn parse(input: &str, region: Option<Region>) -> Result<Self, HandleError> {
        if input.len() > limits::HANDLE_INPUT_BYTES_MAX {
            return Err(HandleError::TooLong);
        }
        let text = input.trim();
        if text.is_empty() {
            return Err(HandleError::Empty);
        }
        if let Some(rest) = uri::strip_scheme(text, "tel") {
            return phone::parse(&uri::tel_number(rest)?, region).map(Self::Phone);
        }
        if let Some(rest) = uri::strip_scheme(text, "mailto") {
            return email::parse(uri::mailto_address(rest)?.trim()).map(Self::Email);
        }
        // The full-width sign is an `@` to whoever typed it, but not to mail.
        if text.contains(['@', '\u{FF20}']) {
            return email::parse(text).map(Self::Email);
        }
        phone::parse(text, region).map(Self::Phone)
    }

    /// The canonical text: E.164, or the e-mail address in lower case with its domain as A-labels.
    #[must_use]
    pub fn canonical(&self) -> Cow<'_, str> {
        match self {
            Self::Phone(key) => Cow::Owned(key.e164().as_str().to_owned()),
            Self::Email(address) => Cow::Borrowed(address.as_str()),
        }
    }

    /// Appends the canonical text. It needs no escaping between JSON quotes.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Phone(key) => out.extend_from_slice(key.e164().as_bytes()),
            Self::Email(address) => out.extend_from_slice(address.as_str().as_bytes()),
        }
    }

    /// Reads back what [`Handle::canonical`] wrote. For stored text only: it checks the form, not whether the text is
    /// canonical, so text from outside goes through [`Handle::parse`].
    #[must_use]
    pub fn from_canonical(text: &str) -> Option<Self> {
        // The `@` decides: an address, too, may begin with a plus sign.
        if text.contains('@') {
            return EmailAddress::from_canonical(text).map(Self::Email);
        }
        PhoneKey::from_e164(text).map(Self::Phone)
    }

    /// Whether [`Handle::from_canonical`] takes this for an address: the same check, without a copy.
    #[must_use]
    pub fn is_canonical_address(text: &str) -> bool {
        EmailAddress::fits(text)
    }

    /// The handles that reach the same subscriber under another spelling, this one not among them. A lookup tries
    /// them when nothing backs the handle itself.
    pub fn equivalents(&self) -> impl Iterator<Item = Self> + use<> {
        let other = match self {
            Self::Phone(key) => key.other_spelling(),
            Self::Email(_) => None,
        };
        other.map(Self::Phone).into_iter()
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

#[cfg(test)]
mod tests;

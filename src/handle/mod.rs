//! Handles: parses text to a canonical handle, or returns why it is none.
//!
//! A [`Handle`] is a phone number in E.164 or an e-mail address in canonical form. It can only be made by parsing text or
//! by reading stored text. Other modules take `&Handle`, never `&str`.
//!
//! Invariants for every text (`tests/invariants.rs`, which the fuzz target includes):
//!
//! - no text makes the parser panic, and no error contains the text;
//! - a canonical handle parses to itself, with every region and with none;
//! - therefore a lookup may query an index of canonical handles with [`PhoneKey::from_e164`] before it parses the text.
//!
//! A handle is personal data: [`std::fmt::Debug`] prints only its kind, and there is no `Display`. Code that needs the
//! text (for an answer, a record, the store) calls [`Handle::canonical`] or [`Handle::write_canonical`].

pub mod canonical;
mod digits;
mod email;
mod error;
mod lost_plus;
mod phone;
mod premium;
mod region;
mod seen;
mod spelling;
mod subscriber;
mod uri;
mod wrapping;

use std::{borrow::Cow, fmt};

pub use email::EmailAddress;
pub use error::HandleError;
pub use phone::{E164, PhoneKey};
pub use region::{Region, warm_up};
pub use seen::is_seen;
pub use subscriber::Subscriber;

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
    /// Parses a handle: E.164 with or without separators, a national number of `region`, an e-mail address, a `tel:` or a
    /// `mailto:` URI. Ignores white space, invisible characters and quotes at both ends.
    ///
    /// Text with an `@` and `mailto:` URIs are parsed as an address, all other text as a number. An error is the first
    /// reason why the text is no handle.
    pub fn parse(input: &str, region: Option<Region>) -> Result<Self, HandleError> {
        Self::read(input, || Ok(region))
    }

    /// Parses a handle like [`Self::parse`], with the code of a region that nobody has checked. Only a number that needs
    /// its region is refused for an unknown one.
    pub fn parse_in(input: &str, region: Option<&str>) -> Result<Self, HandleError> {
        Self::read(input, || region.map(Region::parse).transpose())
    }

    fn read(
        input: &str,
        region: impl FnOnce() -> Result<Option<Region>, HandleError>,
    ) -> Result<Self, HandleError> {
        if input.len() > limits::HANDLE_INPUT_BYTES_MAX {
            return Err(HandleError::TooLong);
        }
        let text = input.trim();
        if text.is_empty() {
            return Err(HandleError::Empty);
        }
        let text = wrapping::strip(text);
        if let Some(rest) = uri::strip_scheme(text, "tel") {
            return phone::parse(&uri::tel_number(rest)?, region).map(Self::Phone);
        }
        if let Some(rest) = uri::strip_scheme(text, "mailto") {
            return email::parse(wrapping::strip(&uri::mailto_address(rest)?)).map(Self::Email);
        }
        // People type the full-width sign as an `@`, but mail does not accept it.
        if text.contains(['@', '\u{FF20}']) {
            return email::parse(text).map(Self::Email);
        }
        phone::parse(text, region).map(Self::Phone)
    }

    /// The canonical text: E.164, or the e-mail address in lower case with its domain as A-labels.
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

    /// Reads stored text that [`Handle::canonical`] returned. It checks only the form, so other text needs
    /// [`Handle::parse`].
    pub fn from_canonical(text: &str) -> Option<Self> {
        // The `@` decides, since an address may begin with a plus sign, too.
        if text.contains('@') {
            return EmailAddress::from_canonical(text).map(Self::Email);
        }
        PhoneKey::from_e164(text).map(Self::Phone)
    }

    /// Whether [`Handle::from_canonical`] reads this as an address. Makes no copy.
    pub fn is_canonical_address(text: &str) -> bool {
        EmailAddress::fits(text)
    }

    /// The person that the handle reaches, as far as spelling tells.
    pub fn subscriber(&self) -> Subscriber {
        match self {
            Self::Phone(number) => Subscriber::of_number(*number),
            Self::Email(address) => Subscriber::of_address(address),
        }
    }

    /// Other spellings that reach the same subscriber. A lookup tries them if no device backs the handle itself.
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

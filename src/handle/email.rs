//! E-mail addresses: text to canonical form.
//!
//! The grammar is RFC 5322's dot-atom with the letters of RFC 6532. Of all that mail allows, refused are:
//!
//! - quoted local parts that need their quotes, and domain literals: nobody has one as a handle, and they bring spaces
//!   and escapes into everything that later prints the address;
//! - domains of a single label (`alice@localhost`): public mail cannot reach one (RFC 7085), so no code could be sent
//!   there, and it is nearly always a forgotten `.com`;
//! - domains that end in digits only: an IP address, or nothing;
//! - characters that cannot be seen (controls, format, bidi, zero width, fillers) and spaces: two addresses that look
//!   alike would be two handles. In the domain, UTS 46 would silently drop most of these; an asker who sends them has
//!   copied something else than was meant;
//! - private-use and unassigned characters: only of assigned ones does Unicode promise that folding and normal form
//!   stay as they are, and what is stored must parse to itself after an upgrade.
//!
//! Canonical form: local part case-folded and in NFC, domain as lower-case A-labels. It holds no quote, backslash, space
//! or control, so it may be written between JSON quotes as it is. Letters that merely look alike are not unified: that
//! would join the handles of two people.

use std::{borrow::Cow, fmt, sync::Arc};

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

use crate::{handle::HandleError, limits};

/// An e-mail address in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Arc<str>);

impl EmailAddress {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes text that is canonical already.
    pub(super) fn from_canonical(text: &str) -> Option<Self> {
        Self::fits(text).then(|| Self(text.into()))
    }

    /// The form of what [`Self::from_canonical`] takes.
    pub(super) fn fits(text: &str) -> bool {
        text.len() <= limits::EMAIL_BYTES_MAX && text.contains('@')
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// Reads an address, with no scheme before it.
pub(super) fn parse(text: &str) -> Result<EmailAddress, HandleError> {
    let (local, domain) = split(text).ok_or(HandleError::NotAnAddress)?;
    let local = canonical_local(&local)?;
    let domain = canonical_domain(domain)?;

    let mut address = String::with_capacity(local.len() + 1 + domain.len());
    address.push_str(&local);
    address.push('@');
    address.push_str(&domain);
    if local.len() > limits::EMAIL_LOCAL_BYTES_MAX || address.len() > limits::EMAIL_BYTES_MAX {
        return Err(HandleError::TooLong);
    }
    Ok(EmailAddress(address.into()))
}

/// The local part without quotes it does not need, and the domain.
fn split(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (local, domain) = text.split_once('@')?;
        return Some((Cow::Borrowed(local), domain));
    };
    // What holds a quote or an `@` keeps its quotes and is refused, so the first end is the only one that matters.
    let (escaped, domain) = quoted.split_once("\"@")?;
    let mut local = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        local.push(if c == '\\' { chars.next()? } else { c });
    }
    Some((Cow::Owned(local), domain))
}

/// Words of RFC 5322's `atext`, widened by RFC 6532 to all that is not ASCII, with single dots between them.
fn is_dot_atom(text: &str) -> bool {
    let is_atext =
        |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.').all(|word| !word.is_empty() && word.chars().all(is_atext))
}

fn canonical_local(local: &str) -> Result<String, HandleError> {
    let folded = if local.is_ascii() {
        local.to_ascii_lowercase()
    } else {
        fold(local).ok_or(HandleError::NotAnAddress)?
    };
    // The grammar is asked about what came out: the Greek question mark, for one, becomes a semicolon.
    let is_plain = is_dot_atom(&folded) && (folded.is_ascii() || !folded.chars().any(is_refused));
    is_plain.then_some(folded).ok_or(HandleError::NotAnAddress)
}

/// Caseless form (Unicode Standard, definition D145, with NFC at the end), repeated until it changes nothing.
fn fold(text: &str) -> Option<String> {
    const ROUNDS_MAX: usize = 4;

    let cases = CaseMapper::new();
    let compose = ComposingNormalizerBorrowed::new_nfc();
    let decompose = DecomposingNormalizerBorrowed::new_nfd();
    let mut before = text.to_owned();
    for _ in 0..ROUNDS_MAX {
        let after =
            compose.normalize(&cases.fold_string(&decompose.normalize(&before))).into_owned();
        if after == before {
            return Some(after);
        }
        before = after;
    }
    None
}

fn canonical_domain(domain: &str) -> Result<Cow<'_, str>, HandleError> {
    // UTS 46 knows where a script needs a joiner, and refuses it elsewhere.
    let is_joiner = |c| matches!(c, '\u{200C}' | '\u{200D}');
    if !domain.is_ascii() && domain.chars().any(|c| is_refused(c) && !is_joiner(c)) {
        return Err(HandleError::NotAnAddress);
    }
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Ignore,
        )
        .map_err(|_| HandleError::NotAnAddress)?;
    if ascii.len() > limits::EMAIL_BYTES_MAX {
        return Err(HandleError::TooLong);
    }
    let (_, last) = ascii.rsplit_once('.').ok_or(HandleError::NotAnAddress)?;
    if !ascii.split('.').all(is_label) || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HandleError::NotAnAddress);
    }
    Ok(ascii)
}

/// Letters, digits and hyphens, no hyphen at either end (RFC 1123).
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_refused(c: char) -> bool {
    use GeneralCategory as Category;

    matches!(
        CodePointMapData::<GeneralCategory>::new().get(c),
        Category::Control
            | Category::Format
            | Category::PrivateUse
            | Category::Surrogate
            | Category::Unassigned
            | Category::SpaceSeparator
            | Category::LineSeparator
            | Category::ParagraphSeparator
    ) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

//! E-mail addresses: parses text to the canonical form.
//!
//! The grammar is the dot-atom of RFC 5322 with the letters of RFC 6532. The parser refuses these forms that mail allows:
//!
//! - quoted local parts that need their quotes, and domain literals. They are not used as handles, and would bring spaces
//!   and escapes into all output of the address.
//! - domains of a single label (`alice@localhost`). Public mail cannot reach them (RFC 7085), so no code could be sent.
//!   Usually the `.com` is missing.
//! - domains whose last label has only digits: these are IP addresses, or invalid.
//! - invisible characters (controls, format, bidi, zero width, fillers) and spaces. Two addresses that look the same would
//!   be two handles. UTS 46 would silently remove most of them from a domain, but they are a sign of a copying error.
//! - U+FFFD, which decoders write for bytes that they could not read, and characters that look like a blank.
//! - punctuation and symbols in a domain. IDNA 2008 (RFC 5892) forbids them, and they come from the sentence around an
//!   address: `a@example.com”` would be another domain.
//! - private-use and unassigned characters. Unicode guarantees stable folding and normal forms only for assigned ones, and
//!   a stored address must parse to itself after an upgrade.
//!
//! In the canonical form the local part is case-folded and in NFC, and the domain has lower-case A-labels. It contains no
//! quote, backslash, space or control character, so JSON needs no escapes for it. Letters that only look the same stay
//! different, since they may belong to two people.

use std::{borrow::Cow, sync::Arc};

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{CodePointMapData, props::GeneralCategory};
use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

use crate::{
    handle::{HandleError, seen::is_seen},
    limits,
    redacted::redacted_debug,
};

/// An e-mail address in canonical form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Arc<str>);

impl EmailAddress {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Accepts text that is canonical already.
    pub(super) fn from_canonical(text: &str) -> Option<Self> {
        Self::fits(text).then(|| Self(text.into()))
    }

    /// Whether text has the form that [`Self::from_canonical`] requires.
    pub(super) fn fits(text: &str) -> bool {
        text.len() <= limits::EMAIL_BYTES_MAX && text.contains('@')
    }
}

redacted_debug!(EmailAddress);

/// Parses an address without a URI scheme.
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

/// Splits an address into its local part, without quotes, and its domain.
fn split(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (local, domain) = text.split_once('@')?;
        return Some((Cow::Borrowed(local), domain));
    };
    // A local part with a quote or an `@` needs its quotes and is refused later, so only the first end matters.
    let (escaped, domain) = quoted.split_once("\"@")?;
    let mut local = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        local.push(if c == '\\' { chars.next()? } else { c });
    }
    Some((Cow::Owned(local), domain))
}

/// Words of RFC 5322's `atext` with single dots between them. RFC 6532 adds all non-ASCII characters to `atext`.
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
    // The grammar applies to the folded text, since folding turns the Greek question mark into a semicolon.
    let is_plain = is_dot_atom(&folded) && (folded.is_ascii() || !folded.chars().any(is_refused));
    is_plain.then_some(folded).ok_or(HandleError::NotAnAddress)
}

/// The caseless form (Unicode Standard, definition D145, then NFC), repeated until it is stable.
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
    // UTS 46 accepts a joiner only where its script needs one.
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
    // UTS 46 with STD3 has already refused other characters and misplaced hyphens.
    let is_label = |label: &str| (1..=63).contains(&label.len());
    if !ascii.split('.').all(is_label) || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HandleError::NotAnAddress);
    }
    if ascii.contains("xn--") {
        let (shown, _) =
            Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        if !shown.chars().all(is_in_domain) {
            return Err(HandleError::NotAnAddress);
        }
    }
    Ok(ascii)
}

/// Letters, marks and digits, and the few others that IDNA 2008 allows where their script needs them.
fn is_in_domain(c: char) -> bool {
    use GeneralCategory as Category;

    let is_exception = matches!(
        c,
        '-' | '.'
            | '\u{B7}'
            | '\u{375}'
            | '\u{5F3}'
            | '\u{5F4}'
            | '\u{30FB}'
            | '\u{200C}'
            | '\u{200D}'
    );
    is_exception
        || matches!(
            CodePointMapData::<GeneralCategory>::new().get(c),
            Category::UppercaseLetter
                | Category::LowercaseLetter
                | Category::TitlecaseLetter
                | Category::ModifierLetter
                | Category::OtherLetter
                | Category::NonspacingMark
                | Category::SpacingMark
                | Category::EnclosingMark
                | Category::DecimalNumber
        )
}

fn is_refused(c: char) -> bool {
    let is_blank =
        CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::SpaceSeparator;
    is_blank || !is_seen(c)
}

//! `tel:` (RFC 3966) and `mailto:` (RFC 6068) URIs, down to the text of the number or the address.

use std::borrow::Cow;

use crate::handle::HandleError;

/// The text behind `scheme:`, whatever the case of the scheme.
pub(super) fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_once(':')?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The number of a `tel:` URI, in international form when its context says how.
///
/// A context that is a domain says nothing about the country, so that such a number is read as a national one. An
/// ISDN subaddress is refused like an extension: both name something behind the number. Other parameters do not
/// change the number and are passed over, as RFC 3966 asks.
pub(super) fn tel_number(rest: &str) -> Result<Cow<'_, str>, HandleError> {
    let mut parts = rest.split(';');
    let number = decode(parts.next().unwrap_or_default()).ok_or(HandleError::NotANumber)?;
    let mut context = None;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.eq_ignore_ascii_case("ext") || name.eq_ignore_ascii_case("isub") {
            return Err(HandleError::Extension);
        }
        if name.eq_ignore_ascii_case("phone-context") {
            let value = decode(value).ok_or(HandleError::NotANumber)?;
            if context.replace(value).is_some() {
                return Err(HandleError::NotANumber);
            }
        }
    }
    match context {
        None => Ok(number),
        // A second plus sign, in the number, is refused where the number is read.
        Some(prefix) if is_global_prefix(&prefix) => Ok(Cow::Owned(format!("{prefix}{number}"))),
        Some(domain) if is_domain(&domain) => Ok(number),
        Some(_) => Err(HandleError::NotANumber),
    }
}

/// The address of a `mailto:` URI, without its subject and other headers.
pub(super) fn mailto_address(rest: &str) -> Result<Cow<'_, str>, HandleError> {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    decode(path).ok_or(HandleError::NotAnAddress)
}

fn is_global_prefix(context: &str) -> bool {
    context.strip_prefix('+').is_some_and(|rest| {
        rest.bytes().any(|byte| byte.is_ascii_digit())
            && rest.bytes().all(|byte| byte.is_ascii_digit() || b"-.()".contains(&byte))
    })
}

fn is_domain(context: &str) -> bool {
    !context.is_empty()
        && context.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Undoes percent-encoding, strictly: a stray `%` or bytes that are not UTF-8 give nothing.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
            bytes.push(high << 4 | low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

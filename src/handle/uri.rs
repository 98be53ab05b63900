//! `tel:` (RFC 3966) and `mailto:` (RFC 6068) URIs: extracts the text of the number or the address.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::handle::HandleError;

/// The text after `scheme:`, ignoring the case of the scheme. Neither scheme has an authority, but many people write
/// `scheme://`.
pub(super) fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_once(':')?;
    head.eq_ignore_ascii_case(scheme).then(|| rest.strip_prefix("//").unwrap_or(rest))
}

/// The number of a `tel:` URI, in international form if its context is a global prefix.
///
/// A context that is a domain does not name the country, so the number is national. An ISDN subaddress and digits to dial
/// later (`postd` of RFC 2806) are refused like an extension, since all address a device behind the number. Other
/// parameters do not change the number and are ignored, as RFC 3966 requires.
pub(super) fn tel_number(rest: &str) -> Result<Cow<'_, str>, HandleError> {
    let mut parts = rest.split(';');
    let number = decode(parts.next().unwrap_or_default()).ok_or(HandleError::NotANumber)?;
    let mut context = None;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if ["ext", "isub", "postd"].iter().any(|other| name.eq_ignore_ascii_case(other)) {
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
        // The number parser refuses a second plus sign in the number.
        Some(prefix) if is_global_prefix(&prefix) => Ok(Cow::Owned(format!("{prefix}{number}"))),
        Some(domain) if is_domain(&domain) => Ok(number),
        Some(_) => Err(HandleError::NotANumber),
    }
}

/// The address of a `mailto:` URI, without subject and other headers.
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

/// Decodes percent-encoding. None for an incomplete escape, or bytes that are not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let is_escape = |rest: &str| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    // The library would keep an incomplete escape as text.
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

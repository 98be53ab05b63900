//! The wording of refused requests, the same for JSON bodies, query parameters and the command line.
//!
//! An error quotes what came only by [`is_plain_word`], and only for a name or for a field that takes a closed set, a number
//! or an instant.

use crate::vocabulary::most_like;

/// Bytes of a text that an error may quote.
const PLAIN_WORD_BYTES_MAX: usize = 24;
/// Letters and digits of a link code, which an error must not quote.
const LINK_CODE_CHARS: usize = 10;
/// Digits of a text that an error may quote. A code has six, a phone number seven.
const PLAIN_WORD_DIGITS_MAX: usize = 2;

/// Whether an error may quote this text: a short word that cannot be a handle, an IP address, a token or a code.
pub fn is_plain_word(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (1..=PLAIN_WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(is_allowed)
        && digits <= PLAIN_WORD_DIGITS_MAX
        && text.bytes().filter(u8::is_ascii_alphanumeric).count() != LINK_CODE_CHARS
}

/// What is wrong with a value of `field`, which takes only the `known` values.
pub fn not_one_of(field: &str, came: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    if is_plain_word(came) {
        format!("{field}: \"{came}\" is not one of {all}{}", suggestion(came, known))
    } else {
        takes(field, &format!("one of {all}"))
    }
}

/// What is wrong with a value of `field`, which takes something else.
pub fn takes(field: &str, what: &str) -> String {
    format!("`{field}` takes {what}")
}

/// What is wrong with a request that has an unknown name. `kind` says whether it names a field or a parameter.
pub fn unknown_name(kind: &str, name: &str, known: &[&str]) -> String {
    let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    if is_plain_word(name) {
        let suggestion = suggestion(name, known);
        format!("the {kind} `{name}` is unknown; this call takes {all}{suggestion}")
    } else {
        format!("a {kind} is unknown; this call takes {all}")
    }
}

/// What is wrong with a request that has a field or a parameter twice.
pub fn twice(kind: &str, name: &str) -> String {
    format!("the {kind} `{name}` appears twice")
}

fn suggestion(word: &str, known: &[&str]) -> String {
    let meant = most_like(word, known.iter().copied());
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORMS: &[&str] = &["ios", "ipados", "macos", "watchos", "visionos", "other"];

    #[test]
    fn only_a_plain_word_is_quoted() {
        for word in ["android", "iOS", "windows-11", "lease_expired", "x"] {
            assert!(is_plain_word(word), "{word}");
        }
        for text in [
            "",
            "+14155550123",
            "4155550123",
            "123456",
            "planted-4155550123",
            "ann@example.com",
            "192.0.2.1",
            "7Q3NV0XKCM",
            "VMGZTT18HN",
            "vmgzt-tnnhn",
            "dd_0123456789abcAAAAAAAA",
            "twenty-five-bytes-or-more",
            "two words",
            "é",
        ] {
            assert!(!is_plain_word(text), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_field_what_came_and_what_it_takes() {
        assert_eq!(
            not_one_of("platform", "android", PLATFORMS),
            "platform: \"android\" is not one of ios, ipados, macos, watchos, visionos, other"
        );
        assert_eq!(
            not_one_of("route", "smss", &["imessage", "sms", "none"]),
            "route: \"smss\" is not one of imessage, sms, none; did you mean `sms`?"
        );
        assert_eq!(
            not_one_of("route", "+14155550123", &["imessage", "sms", "none"]),
            "`route` takes one of imessage, sms, none"
        );
        assert_eq!(
            unknown_name("parameter", "regoin", &["region"]),
            "the parameter `regoin` is unknown; this call takes region; did you mean `region`?"
        );
        assert_eq!(
            unknown_name("field", "+14155550123", &[]),
            "a field is unknown; this call takes none"
        );
    }
}

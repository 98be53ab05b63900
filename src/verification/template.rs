//! What a message says: text with places for the code, its minutes and the service's name.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{files, limits};

use super::{code::Code, delivery::Purpose};

const CODE: &str = "{code}";

/// A text in which only the code is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

/// One for each purpose.
#[derive(Clone, Debug)]
pub(super) struct ByPurpose<T> {
    pub(super) bind: T,
    pub(super) deregister: T,
}

impl Template {
    /// Puts `{minutes}` and `{service}` in. A text that would be sent without a code, or with a place that nobody
    /// fills, is refused.
    pub(super) fn new(text: &str, service: &str) -> Result<Self, String> {
        if !text.contains(CODE) {
            return Err("has no {code}".into());
        }
        let filled = fill_all_but_code(text, service)?;
        Ok(Self(filled.trim_end().to_owned()))
    }

    /// The text with its code.
    pub(super) fn fill(&self, code: &Code) -> Zeroizing<String> {
        Zeroizing::new(self.0.replace(CODE, code.expose()))
    }
}

/// Puts `{minutes}` and `{service}` in; any other word in braces but `{code}` is refused.
pub(super) fn fill_all_but_code(text: &str, service: &str) -> Result<String, String> {
    let minutes = (limits::CODE_LIFETIME.as_secs() / 60).to_string();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, brace) = rest.split_at(at);
        filled.push_str(before);
        let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let word = brace[1..].split_once('}').map(|(word, _)| word).filter(is_word);
        let used = match word {
            Some("code") => {
                filled.push_str(CODE);
                CODE.len()
            }
            Some("minutes") => {
                filled.push_str(&minutes);
                "{minutes}".len()
            }
            Some("service") => {
                filled.push_str(service);
                "{service}".len()
            }
            Some(other) if !other.is_empty() => {
                return Err(format!(
                    "has {{{other}}}; there are {{code}}, {{minutes}}, {{service}}"
                ));
            }
            _ => {
                filled.push('{');
                1
            }
        };
        rest = &brace[used..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A service's name that can stand in a subject and cannot be taken for a place.
pub(super) fn check_service(service: &str) -> Result<(), String> {
    if service.trim().is_empty() || service.chars().any(|c| c.is_control() || "{}".contains(c)) {
        return Err("must be a name on one line, without braces".into());
    }
    Ok(())
}

impl<T> ByPurpose<T> {
    pub(super) const fn get(&self, purpose: Purpose) -> &T {
        match purpose {
            Purpose::Bind => &self.bind,
            Purpose::Deregister => &self.deregister,
        }
    }
}

/// The text of a template's file.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    files::read_text_up_to(path, limits::TEMPLATE_BYTES_MAX, &mut text)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if text.len() > limits::TEMPLATE_BYTES_MAX {
        return Err(format!("is longer than {} bytes", limits::TEMPLATE_BYTES_MAX));
    }
    Ok(text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled() {
        let template = Template::new("{service}: {code}, {code} {} {a b} { {minutes}\n", "Blue");
        let code = Code::random();
        let digits = code.expose();
        let text = template.expect("it has a code").fill(&code);
        assert_eq!(*text, format!("Blue: {digits}, {digits} {{}} {{a b}} {{ 10"));
    }

    #[test]
    fn a_text_that_would_not_do_is_refused() {
        for (text, part) in [
            ("", "no {code}"),
            ("Your code is {Code}.", "no {code}"),
            ("{code} {name}", "{name}"),
            ("{code} {codes}", "{codes}"),
        ] {
            let why = Template::new(text, "Blue").expect_err(text);
            assert!(why.contains(part), "{why}");
        }
        for service in ["", " ", "a\nb", "{code}"] {
            assert!(check_service(service).is_err(), "{service}");
        }
    }
}

//! Message templates: texts with placeholders for the code, its lifetime in minutes and the service's name.

use std::path::Path;

use zeroize::Zeroizing;

use crate::limits;

use super::{code::Code, delivery::Purpose, input_files};

const CODE: &str = "{code}";

/// A text in which every placeholder but `{code}` is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

/// A value for each [`Purpose`].
#[derive(Clone, Debug)]
pub(super) struct ByPurpose<T> {
    pub(super) bind: T,
    pub(super) deregister: T,
}

impl Template {
    /// Fills `{minutes}` and `{service}`. Refuses a text without `{code}`, or with an unknown placeholder.
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

/// Fills `{minutes}` and `{service}`, keeps `{code}`, and refuses any other word in braces.
pub(super) fn fill_all_but_code(text: &str, service: &str) -> Result<String, String> {
    let minutes = (limits::CODE_LIFETIME.as_secs() / 60).to_string();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, brace)) = rest.split_once('{') {
        filled.push_str(before);
        let is_word = |(word, _): &(&str, &str)| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        // A brace that begins no placeholder is text.
        let Some((word, after)) = brace.split_once('}').filter(is_word) else {
            filled.push('{');
            rest = brace;
            continue;
        };
        filled.push_str(match word {
            "code" => CODE,
            "minutes" => &minutes,
            "service" => service,
            other => {
                return Err(format!(
                    "has {{{other}}}; the placeholders are {{code}}, {{minutes}}, {{service}}"
                ));
            }
        });
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Refuses a name that would break a mail's subject line, or that looks like a placeholder.
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

/// Reads a template's file, with line feeds as line ends.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let text = input_files::read_text(path, limits::TEMPLATE_BYTES_MAX)?;
    Ok(text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let template = Template::new("{service}: {code}, {code} {} {a b} { {minutes}\n", "Blue");
        let code = Code::random();
        let digits = code.expose();
        let text = template.expect("it has a code").fill(&code);
        assert_eq!(*text, format!("Blue: {digits}, {digits} {{}} {{a b}} {{ 10"));
    }

    #[test]
    fn a_text_without_a_code_or_with_an_unknown_placeholder_is_refused() {
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

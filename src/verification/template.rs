//! Message templates: texts with placeholders for the code, its lifetime in minutes and the service's name.

use zeroize::Zeroizing;

use crate::limits;

use super::{code::Code, delivery::Purpose};

const CODE: &str = "{code}";

/// A text in which every placeholder but `{code}` is filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

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

    pub(super) fn fill(&self, code: &Code) -> Zeroizing<String> {
        Zeroizing::new(self.0.replace(CODE, code.expose()))
    }
}

/// Fills `{minutes}` and `{service}`, keeps `{code}`, and refuses any other word in braces. A brace that begins no
/// placeholder is text.
pub(super) fn fill_all_but_code(text: &str, service: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0));
    let mut words = words.filter(|word| !word.is_empty() && word.chars().all(is_word));
    if let Some(unknown) = words.find(|word| !["code", "minutes", "service"].contains(word)) {
        return Err(format!(
            "has {{{unknown}}}; the placeholders are {{code}}, {{minutes}}, {{service}}"
        ));
    }
    let minutes = (limits::CODE_LIFETIME.as_secs() / 60).to_string();
    Ok(text.replace("{minutes}", &minutes).replace("{service}", service))
}

impl<T> ByPurpose<T> {
    pub(super) const fn get(&self, purpose: Purpose) -> &T {
        match purpose {
            Purpose::Bind => &self.bind,
            Purpose::Deregister => &self.deregister,
        }
    }
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
    }
}

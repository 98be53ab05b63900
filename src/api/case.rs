//! The case that a call belongs to: a ticket's number, which the audit log keeps.

use std::{borrow::Cow, str::FromStr};

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::{handle::is_seen, limits};

/// The characters up to U+FFFF that [`is_seen`] refuses, for a class of a regular expression.
macro_rules! unseen {
    () => {
        r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
    };
}

/// The name of a case: 1 to 64 characters. Each of them is seen: whoever reviews the audit log must be able to compare two names.
pub struct Case;

impl Case {
    /// What the parameter takes.
    pub(super) const TAKES: &str = "1 to 64 characters that a reader sees, without marks of the direction of writing, and not only blanks";
    /// The same as a regular expression (ECMA-262 without flags), as far as it has words for it: up to U+FFFF.
    const PATTERN: &str = concat!("^[^", unseen!(), "]*[^\\s", unseen!(), "][^", unseen!(), "]*$");
}

impl FromStr for Case {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_taken = text.chars().count() <= limits::CASE_CHARS_MAX
            && !text.trim().is_empty()
            && text.chars().all(is_seen);
        is_taken.then_some(Self).ok_or(())
    }
}

impl PartialSchema for Case {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "The name of a case, such as a ticket's number: characters that a reader sees, and not only blanks.",
            ))
            .min_length(Some(1))
            .max_length(Some(limits::CASE_CHARS_MAX))
            .pattern(Some(Self::PATTERN))
            .examples(["INC-4711"])
            .into()
    }
}

impl ToSchema for Case {
    fn name() -> Cow<'static, str> {
        "Case".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::parse::value;

    fn read(text: &str) -> Result<bool, String> {
        let read = value::<Case>("case", Case::TAKES, &Some(text.to_owned()));
        read.map(|case| case.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_case_is_a_short_line_that_is_seen_whole_and_it_is_not_repeated() {
        for good in
            ["INC-4711", "Fall 12/ä", "Ticket №\u{a0}7", "案件 4711", "بلاغ 12", &"ä".repeat(64)]
        {
            assert_eq!(read(good), Ok(true), "{good}");
        }
        let (left, long) = ("INC-\u{202e}1174", "x".repeat(65));
        for wrong in [
            "",
            "  ",
            "\u{3000}",
            "a\nb",
            "a\u{7f}",
            "a\u{85}",
            &long,
            left,
            "a\u{200b}b",
            "a\u{2066}b",
            "\u{61c}a",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{2028}b",
            "\u{3164}",
            "a\u{e0041}",
            "a\u{fe0f}",
            "\u{2800}",
            "a\u{e000}",
        ] {
            let said = read(wrong).unwrap_err();
            assert!(said.starts_with("`case` takes 1 to 64 characters"), "{said}");
            assert!(wrong.is_empty() || !said.contains(wrong) || wrong == "  ", "{said}");
        }
        assert!(value::<Case>("case", Case::TAKES, &None).unwrap().is_none());
    }
}

//! [`Countries`]: where text messages may go.

use serde::{Deserialize, Serialize};

use crate::handle::{Handle, PhoneKey};

/// Networks that belong to no country: satellite phones, international networks and services. A message to them costs up to
/// a hundred times as much as to a mobile phone, and nearly nobody has such a number.
const DENIED: [&str; 9] = ["800", "808", "870", "878", "881", "882", "883", "888", "979"];
/// The digits of an international number (ITU-T E.164).
const DIGITS_MAX: usize = 15;

/// The key `ownership.countries`: the beginnings of numbers that get text messages, without the plus sign. The longest
/// beginning that fits a number decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Countries {
    /// If it names any, only these get messages.
    pub allow: Vec<String>,
    /// These get none.
    pub deny: Vec<String>,
}

impl Default for Countries {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: DENIED.map(str::to_owned).into() }
    }
}

impl Countries {
    /// Whether a message to `handle` may be sent. Mail always may.
    pub(super) fn may_send_to(&self, handle: &Handle) -> bool {
        let Handle::Phone(key) = handle else { return true };
        let longest = |beginnings: &[String]| {
            let number = key.e164();
            let digits = number.as_str().trim_start_matches('+');
            let fitting = beginnings.iter().filter(|beginning| digits.starts_with(&***beginning));
            fitting.map(String::len).max()
        };
        let (allowed, denied) = (longest(&self.allow), longest(&self.deny));
        // A premium-rate number needs an entry of its own: one that only names its country does not mean it.
        let is_meant = || allowed > Some(decimal_digits(*key)) || !key.is_premium_rate();
        let is_allowed = match (allowed, denied) {
            (Some(allowed), Some(denied)) => allowed > denied,
            (None, Some(_)) => false,
            (Some(_), None) => true,
            (None, None) => self.allow.is_empty(),
        };
        is_allowed && is_meant()
    }

    /// The key at fault and what is wrong: an entry that no number begins with, or one that is in both lists.
    pub(super) fn validate(&self) -> Option<(&'static str, String)> {
        let is_beginning = |entry: &String| {
            (1..=DIGITS_MAX).contains(&entry.len())
                && entry.bytes().all(|byte| byte.is_ascii_digit())
                && !entry.starts_with('0')
        };
        let lists = [("countries.allow", &self.allow), ("countries.deny", &self.deny)];
        if let Some((key, _)) = lists.into_iter().find(|(_, list)| !list.iter().all(is_beginning)) {
            let why = "takes calling codes or longer beginnings of numbers, such as \"44\"";
            return Some((key, why.to_owned()));
        }
        let twice = self.allow.iter().find(|entry| self.deny.contains(entry))?;
        let why = format!(
            "\"{twice}\" is in ownership.countries.deny, too; remove it from one of the two"
        );
        Some(("countries.allow", why))
    }
}

/// Digits of a number's calling code.
fn decimal_digits(key: PhoneKey) -> usize {
    key.calling_code().to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_send(countries: &Countries, text: &str) -> bool {
        countries.may_send_to(&Handle::from_canonical(text).expect("canonical"))
    }

    fn of(allow: &[&str], deny: &[&str]) -> Countries {
        let list = |entries: &[&str]| entries.iter().map(|&entry| entry.to_owned()).collect();
        Countries { allow: list(allow), deny: list(deny) }
    }

    #[test]
    fn by_default_satellite_international_and_premium_numbers_are_denied() {
        let countries = Countries::default();
        for denied in [
            "+870773111632",
            "+8781011234567",
            "+881612345678",
            "+882161234567",
            "+883510012345",
            "+979123456789",
            "+80012345678",
            "+80812345678",
            "+19002345678",
            "+449098790123",
        ] {
            assert!(!may_send(&countries, denied), "{denied}");
        }
        for allowed in ["+14155550123", "+447911123456", "+252612345678", "ann@example.com"] {
            assert!(may_send(&countries, allowed), "{allowed}");
        }
    }

    #[test]
    fn the_longest_beginning_decides_and_an_allow_list_is_all_there_is() {
        let countries = of(&["1", "44", "881"], &["88", "1415"]);
        for (text, is_allowed) in [
            ("+12125550123", true),
            ("+14155550123", false),
            ("+881612345678", true),
            ("+883510012345", false),
            ("+33612345678", false),
            ("+19002345678", false),
            ("ann@example.com", true),
        ] {
            assert_eq!(may_send(&countries, text), is_allowed, "{text}");
        }
        assert!(may_send(&of(&["1900"], &[]), "+19002345678"));
        assert!(may_send(&of(&["1900", "1"], &["1"]), "+19002345678"));
    }

    #[test]
    fn an_entry_that_begins_no_number_or_is_in_both_lists_is_named() {
        assert_eq!(Countries::default().validate(), None);
        for (allow, deny, key) in [
            (&["+1"][..], &[][..], "countries.allow"),
            (&[], &[""], "countries.deny"),
            (&[], &["044"], "countries.deny"),
            (&["US"], &[], "countries.allow"),
            (&["1", "44"], &["33", "44"], "countries.allow"),
        ] {
            assert_eq!(of(allow, deny).validate().map(|(key, _)| key), Some(key));
        }
        let (_, why) = of(&["1", "44"], &["33", "44"]).validate().expect("it is in both");
        assert!(why.contains("\"44\""), "{why}");
    }
}

//! Parameters from text, with one wording for what is wrong: the parameter, what came, what it takes.

use std::{ffi::OsStr, fmt::Display, str::FromStr};

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};

use super::{
    call::Invalid,
    words::{is_plain_word, not_one_of, takes},
};
use crate::{
    clock::Timestamp,
    handle::{Handle, HandleError, Region},
    limits,
};

const INSTANT: &str = "an RFC 3339 instant such as 2026-11-23T08:41:07Z, a date (its midnight, UTC), or a span back from now such as 90m or 7d";
const COUNTRY: &str = "the two letters of a country (ISO 3166-1 alpha-2), such as US";

/// Reads a parameter whose values may be personal, and so are not repeated.
pub(super) fn optional<T>(
    name: &str,
    what: &str,
    text: &Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Invalid> {
    let wrong = || Invalid::new(takes(name, what));
    text.as_deref().map(|text| read(text).ok_or_else(wrong)).transpose()
}

pub(super) fn value<T: FromStr>(
    name: &str,
    what: &str,
    text: &Option<String>,
) -> Result<Option<T>, Invalid> {
    optional(name, what, text, |text| text.parse().ok())
}

/// Reads a case of a closed set by its code.
pub(super) fn choice<T: Copy>(
    name: &str,
    text: &Option<String>,
    all: &[T],
    code: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    let found = all.iter().copied().find(|case| code(*case) == text);
    found.map(Some).ok_or_else(|| {
        let codes: Vec<_> = all.iter().map(|case| code(*case)).collect();
        Invalid::new(not_one_of(name, text, &codes))
    })
}

/// An argument that takes the codes of a closed set. `--help` and completions list them. [`Call::resolve`](super::Call::resolve)
/// refuses other texts: the command line and the API say it in the same words.
pub(super) fn codes<T: Copy>(all: &[T], code: fn(T) -> &'static str) -> CodeArgument {
    CodeArgument(all.iter().map(|case| code(*case)).collect())
}

#[derive(Clone)]
pub(super) struct CodeArgument(Vec<&'static str>);

impl TypedValueParser for CodeArgument {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        text: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, text)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(|code| PossibleValue::new(*code))))
    }
}

/// What is wrong with a value that is not `what`.
fn not(name: &str, came: &str, what: &str) -> Invalid {
    Invalid::new(match is_plain_word(came) {
        true => format!("{name}: \"{came}\" is not {what}"),
        false => takes(name, what),
    })
}

/// Reads a whole number of at least `least` and at most `most`.
pub(super) fn number<T: FromStr + PartialOrd + Display>(
    name: &str,
    (least, most): (T, Option<T>),
    text: &Option<String>,
) -> Result<Option<T>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    let is_taken = |number: &T| *number >= least && most.as_ref().is_none_or(|most| number <= most);
    text.parse().ok().filter(is_taken).map(Some).ok_or_else(|| {
        let range = match &most {
            Some(most) => format!("from {least} to {most}"),
            None => format!("from {least} on"),
        };
        not(name, text, &format!("a whole number {range}"))
    })
}

/// Reads how much is wanted at most; none for everything.
pub(super) fn limit(text: &Option<String>) -> Result<Option<usize>, Invalid> {
    number("limit", (1, None), text)
}

/// How much an answer has that is given as a whole.
pub fn page_limit(wanted: Option<usize>) -> Result<usize, Invalid> {
    let most = limits::LOG_PAGE_RECORDS_MAX;
    match wanted.unwrap_or(limits::LOG_PAGE_RECORDS_DEFAULT) {
        wanted if wanted <= most => Ok(wanted),
        wanted => Err(Invalid::new(format!(
            "limit: {wanted} is more than a page of JSON has, {most}; NDJSON has no limit: send \
             `Accept: application/x-ndjson`"
        ))),
    }
}

/// Reads a handle; `region` is the country of a number without a calling code.
pub(super) fn handle(text: &str, region: &Option<String>) -> Result<Handle, Invalid> {
    Handle::parse_in(text, region.as_deref()).map_err(|error| match region {
        Some(region) if error == HandleError::UnknownCountry && Region::parse(region).is_err() => {
            not("region", region, COUNTRY).because(error)
        }
        _ => Invalid::handle(error),
    })
}

/// Reads a handle that a filter names. A wrong one is `request-invalid`: only a call about one handle answers `handle-invalid`.
pub(super) fn filter_handle(
    text: &Option<String>,
    region: &Option<String>,
) -> Result<Option<Handle>, Invalid> {
    let parsed = text.as_deref().map(|text| handle(text, region)).transpose();
    parsed.map_err(|invalid| Invalid::new(invalid.to_string()))
}

/// Reads an instant. A span may have a minus sign, as other tools want it.
pub(super) fn instant(
    name: &str,
    text: &Option<String>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    let span = || humantime::parse_duration(text.strip_prefix('-').unwrap_or(text)).ok();
    let read = written_instant(text).or_else(|| span().map(|span| now.minus(span)));
    read.map(Some).ok_or_else(|| not(name, text, INSTANT))
}

/// Reads a window, which ends later than it begins. It may lie in the future: the clocks of an operator's machine and of the server
/// may differ.
pub(super) fn window(
    since: &Option<String>,
    until: &Option<String>,
    now: Timestamp,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Invalid> {
    let (since, until) = (instant("since", since, now)?, instant("until", until, now)?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Invalid::new(format!(
            "the window is empty: `since` ({since}) must lie before `until` ({until})"
        )));
    }
    Ok((since, until))
}

/// An instant as people write it: a date alone, a space for the `T`, an offset without minutes, and a `+` that arrived as
/// a space since nobody encoded it.
fn written_instant(text: &str) -> Option<Timestamp> {
    const DATE_CHARS: usize = 10;
    let (date, rest) = text.split_at_checked(DATE_CHARS)?;
    let time = match rest.strip_prefix(['T', 't', ' ']) {
        Some(time) => time.replace(' ', "+"),
        None if rest.is_empty() => "00:00:00Z".to_owned(),
        None => return None,
    };
    let before_hours = time.len().checked_sub(2).and_then(|end| time.get(..end));
    let has_hours_only = before_hours.is_some_and(|text| text.ends_with(['+', '-']));
    let minutes = if has_hours_only { ":00" } else { "" };
    format!("{date}T{time}{minutes}").parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 2027-01-15T08:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn given(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn instants_are_read_as_people_write_them() {
        for (text, is) in [
            ("2027-01-15T08:00:00Z", NOW),
            ("2027-01-15t08:00:00.000z", NOW),
            ("2027-01-15 08:00:00Z", NOW),
            ("2027-01-15T10:00:00+02:00", NOW),
            ("2027-01-15T10:00:00 02:00", NOW),
            ("2027-01-15 10:00:00 02", NOW),
            ("2027-01-15 08:00:00+00", NOW),
            ("2027-01-15T03:00:00-05", NOW),
            ("2027-01-15", NOW.minus(Duration::from_secs(8 * 3600))),
            ("90m", NOW.minus(Duration::from_secs(5_400))),
            ("7d", NOW.minus(Duration::from_secs(7 * 24 * 3600))),
            ("-7d", NOW.minus(Duration::from_secs(7 * 24 * 3600))),
        ] {
            assert_eq!(instant("at", &given(text), NOW), Ok(Some(is)), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2027-13-01",
            "2027-01-15T",
            "2027-01-15T08",
            "2027-01-15x",
            "é027-01-15",
        ] {
            let said = instant("since", &given(text), NOW).unwrap_err().to_string();
            assert!(said.contains("since") && said.contains(" an RFC 3339 instant"), "{said}");
        }
    }

    #[test]
    fn a_window_that_is_empty_says_so() {
        let said = window(&given("5m"), &given("10m"), NOW).unwrap_err().to_string();
        assert!(
            said.contains("the window is empty") && said.contains("2027-01-15T07:50"),
            "{said}"
        );
        assert!(window(&given("5m"), &given("5m"), NOW).is_err());
        assert!(window(&given("2027-01-16"), &None, NOW).is_ok());
        assert!(window(&None, &given("2027-01-16"), NOW).is_ok());
        assert!(window(&given("10m"), &given("5m"), NOW).is_ok());
    }

    #[test]
    fn a_national_number_takes_its_region_and_nothing_else_does() {
        for (text, region, is) in [
            ("+14155550123", None, "+14155550123"),
            ("+14155550123", Some("XX"), "+14155550123"),
            (" 415 555 0123", Some("US"), "+14155550123"),
            ("+0064 3 331 6005", Some("NZ"), "+6433316005"),
            ("ann@example.com", Some("XX"), "ann@example.com"),
            ("(415) 555-0123", Some("us"), "+14155550123"),
        ] {
            assert_eq!(handle(text, &region.map(str::to_owned)).unwrap().canonical(), is, "{text}");
        }
        let needs = handle("4155550123", &None).unwrap_err();
        assert_eq!(needs.handle, Some(HandleError::NeedsRegion));
        assert!(needs.to_string().contains("give it as `region`"));
        let unknown = handle("4155550123", &given("XX")).unwrap_err().to_string();
        assert!(unknown.starts_with("region: \"XX\" is not the two letters"), "{unknown}");
    }

    #[test]
    fn a_value_outside_its_set_is_named_with_the_set_and_the_nearest() {
        let set = ["imessage", "sms", "none"];
        let of = |text: &str| choice("route", &given(text), &set, |code| code).unwrap_err();
        assert_eq!(of("green").to_string(), "route: \"green\" is not one of imessage, sms, none");
        assert_eq!(
            of("imesage").to_string(),
            "route: \"imesage\" is not one of imessage, sms, none; did you mean `imessage`?"
        );
        assert_eq!(of("4155550123").to_string(), "`route` takes one of imessage, sms, none");
    }

    #[test]
    fn a_number_out_of_range_is_named_with_the_range() {
        let of =
            |text: &str| number("min", (2, Some(9)), &given(text)).map_err(|it| it.to_string());
        assert_eq!((of("2"), of("9")), (Ok(Some(2)), Ok(Some(9))));
        for wrong in ["1", "10", "-2", "", "two"] {
            let said = of(wrong).unwrap_err();
            assert!(said.ends_with(" a whole number from 2 to 9"), "{said}");
        }
        assert!(
            number("min", (2, None), &given("x")).unwrap_err().to_string().ends_with("from 2 on")
        );
    }

    #[test]
    fn what_is_given_as_a_whole_has_a_limit() {
        for wrong in ["0", "-1", "many", ""] {
            assert!(limit(&given(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(limit(&given("5000")), Ok(Some(5_000)));
        assert_eq!(page_limit(None), Ok(limits::LOG_PAGE_RECORDS_DEFAULT));
        assert_eq!(
            page_limit(Some(limits::LOG_PAGE_RECORDS_MAX)),
            Ok(limits::LOG_PAGE_RECORDS_MAX)
        );
        assert!(page_limit(Some(limits::LOG_PAGE_RECORDS_MAX + 1)).is_err());
    }
}

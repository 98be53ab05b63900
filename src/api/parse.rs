//! Parameters from text, with one wording for what is wrong: the parameter, what came, what it takes.

use std::{ffi::OsStr, fmt::Display, str::FromStr, time::Duration};

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

const INSTANT: &str = "an RFC 3339 instant such as 2026-11-23T08:41:07Z, a date or a date and time in UTC such as \"2026-11-23 08:41\", \
     today, yesterday, now, or a span back from now such as 90m or 7d";
const DAY_MICROS: u64 = 24 * 3600 * 1_000_000;
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
    Handle::parse_in(text, region.as_deref())
        .map_err(|error| wrong_region(region, error).unwrap_or_else(|| Invalid::handle(error)))
}

/// What is wrong with `region`, if that is why a text is no handle.
pub fn wrong_region(region: &Option<String>, error: HandleError) -> Option<Invalid> {
    let region = region.as_ref().filter(|_| error == HandleError::UnknownCountry)?;
    let is_wrong = Region::parse(region).is_err();
    is_wrong.then(|| not("region", region, COUNTRY).because(error))
}

/// Reads a handle that a filter names. A wrong one is `request-invalid`: only a call about one handle answers `handle-invalid`.
pub(super) fn filter_handle(
    text: &Option<String>,
    region: &Option<String>,
) -> Result<Option<Handle>, Invalid> {
    let parsed = text.as_deref().map(|text| handle(text, region)).transpose();
    parsed.map_err(|invalid| Invalid::new(invalid.to_string()))
}

/// From, and before which instant.
pub(super) type Window = (Option<Timestamp>, Option<Timestamp>);

/// Reads an instant. A span may have a minus sign, as other tools want it.
pub(super) fn instant(
    name: &str,
    text: &Option<String>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Invalid> {
    let Some(text) = text else { return Ok(None) };
    let trimmed = text.trim();
    let span = || humantime::parse_duration(trimmed.strip_prefix('-').unwrap_or(trimmed)).ok();
    let midnight = || now.minus(Duration::from_micros(now.as_micros() % DAY_MICROS));
    let read = match trimmed.to_ascii_lowercase().as_str() {
        "now" => Some(now),
        "today" => Some(midnight()),
        "yesterday" => Some(midnight().minus(Duration::from_micros(DAY_MICROS))),
        _ => written_instant(trimmed).or_else(|| span().map(|span| now.minus(span))),
    };
    read.map(Some).ok_or_else(|| match is_of_no_day(trimmed) {
        true => Invalid::new(format!("{name}: there is no such day")),
        false => not(name, text, INSTANT),
    })
}

/// Reads a window, which ends later than it begins. It may lie in the future: the clocks of an operator's machine and of the server
/// may differ.
pub(super) fn window(
    since: &Option<String>,
    until: &Option<String>,
    now: Timestamp,
) -> Result<Window, Invalid> {
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

/// An instant as people write it: a date alone; a time with or without seconds; a space for the `T`; no offset for UTC; an
/// offset without minutes or without a colon, or with a space for the `+`, since nobody encoded that in a query.
fn written_instant(text: &str) -> Option<Timestamp> {
    const DATE_CHARS: usize = 10;
    const MINUTE_CHARS: usize = 5;
    let (date, rest) = text.split_at_checked(DATE_CHARS)?;
    if rest.is_empty() {
        return format!("{date}T00:00:00Z").parse().ok();
    }
    let time = rest.strip_prefix(['T', 't', ' '])?.to_ascii_uppercase();
    let (time, offset) = match time.strip_suffix("UTC").or_else(|| time.strip_suffix('Z')) {
        Some(time) => (time.trim_end(), "Z".to_owned()),
        None => match time.find(['+', '-', ' ']) {
            Some(at) => (&time[..at], offset(&time[at..])?),
            None => (&*time, "Z".to_owned()),
        },
    };
    let seconds = if time.len() == MINUTE_CHARS { ":00" } else { "" };
    format!("{date}T{time}{seconds}{offset}").parse().ok()
}

/// Whether the month is one, but has no such day: `2026-02-30`.
fn is_of_no_day(text: &str) -> bool {
    let Some((month, day)) = text.get(..10).and_then(|date| date.split_at_checked(8)) else {
        return false;
    };
    let is_number = day.bytes().all(|byte| byte.is_ascii_digit());
    let exists = |day: &str| written_instant(&format!("{month}{day}")).is_some();
    is_number && exists("01") && !exists(day)
}

/// `+02`, ` 0200`, ` +02:00` as RFC 3339 has it.
fn offset(text: &str) -> Option<String> {
    let text = text.strip_prefix(' ').filter(|rest| rest.starts_with(['+', '-'])).unwrap_or(text);
    let sign = if text.starts_with('-') { '-' } else { '+' };
    let digits = text.get(1..)?.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "00" } else { minutes };
    Some(format!("{sign}{hours}:{minutes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-15T08:00:00Z.
    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn given(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_day_that_does_not_exist_is_said() {
        for (text, is_day) in
            [("2026-02-30", false), ("2026-02-29 08:00", false), ("2026-02-3x", true)]
        {
            let said = instant("since", &given(text), NOW).unwrap_err().to_string();
            assert_eq!(said == "since: there is no such day", !is_day, "{text}: {said}");
        }
        for text in ["2027-13-01", "2028-02-29x", "4155550123"] {
            assert!(!is_of_no_day(text), "{text}");
        }
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
            ("2027-01-15 08:00", NOW),
            ("2027-01-15T08:00", NOW),
            ("2027-01-15T08:00:00", NOW),
            ("2027-01-15 08:00 UTC", NOW),
            ("2027-01-15 08:00z", NOW),
            ("2027-01-15 10:00 +0200", NOW),
            ("2027-01-15 10:00+02:00", NOW),
            (" 2027-01-15T08:00:00.000Z ", NOW),
            ("now", NOW),
            ("0s", NOW),
            ("today", NOW.minus(Duration::from_secs(8 * 3600))),
            ("Yesterday", NOW.minus(Duration::from_secs(32 * 3600))),
            ("7d", NOW.minus(Duration::from_secs(7 * 24 * 3600))),
            ("-7d", NOW.minus(Duration::from_secs(7 * 24 * 3600))),
        ] {
            assert_eq!(instant("at", &given(text), NOW), Ok(Some(is)), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2027-13-01",
            "2027-01-15T",
            "2027-01-15T08",
            "2027-01-15 08:00 CET",
            "2027-01-15 25:00",
            "2027-01-15 08:00+",
            "2027-01-15 08:00+2",
            "2027-01-15 08:00 ++02",
            "+1h",
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

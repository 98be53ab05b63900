//! Parameters from text, with one wording for what each takes.

use std::str::FromStr;

use super::Invalid;
use crate::{
    clock::Timestamp,
    handle::{Handle, HandleError, Region},
};

const INSTANT: &str =
    "an RFC 3339 instant, a date (its midnight, UTC), or a span back from now such as 90m or 7d";

/// Reads a parameter, if it is there.
pub(super) fn optional<T>(
    name: &str,
    takes: &str,
    text: Option<&str>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Invalid> {
    text.map(|text| read(text).ok_or_else(|| Invalid::parameter(name, takes))).transpose()
}

/// Reads a value that has a text of its own.
pub(super) fn value<T: FromStr>(
    name: &str,
    takes: &str,
    text: Option<&str>,
) -> Result<Option<T>, Invalid> {
    optional(name, takes, text, |text| text.parse().ok())
}

/// Reads a word of a closed set.
pub(super) fn choice<T: Copy>(
    name: &str,
    text: Option<&str>,
    all: &[T],
    code: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Invalid> {
    let codes: Vec<_> = all.iter().map(|case| code(*case)).collect();
    let (last, before) = codes.split_last().unwrap_or((&"", &[]));
    let takes = format!("{} or {last}", before.join(", "));
    optional(name, &takes, text, |text| all.iter().copied().find(|case| code(*case) == text))
}

/// Reads a handle; `region` is the country of a number without a calling code.
pub(super) fn handle(text: &str, region: Option<&str>) -> Result<Handle, Invalid> {
    // In a query a plus sign means a space. Nobody who pastes a number should need to know.
    let text = text.strip_prefix(' ').map_or(text.to_owned(), |digits| format!("+{digits}"));
    match (Handle::parse(&text, None), region) {
        (Err(HandleError::NeedsRegion), Some(region)) => {
            let takes = "the two letters of a country (ISO 3166-1 alpha-2), such as US";
            let region = Region::parse(region).map_err(|_| Invalid::parameter("region", takes))?;
            Handle::parse(&text, Some(region))
        }
        (parsed, _) => parsed,
    }
    .map_err(Invalid::handle)
}

/// Reads a handle that a filter names. Only a call about one handle says by a code of its own that it is none.
pub(super) fn filter_handle(
    text: Option<&str>,
    region: Option<&str>,
) -> Result<Option<Handle>, Invalid> {
    let parsed = text.map(|text| handle(text, region)).transpose();
    parsed.map_err(Invalid::of_filter)
}

/// Reads an instant, or a span back from `now`.
pub(super) fn instant(
    name: &str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Invalid> {
    optional(name, INSTANT, text, |text| {
        let span = || humantime::parse_duration(text).ok();
        written_instant(text).or_else(|| span().map(|span| now.minus(span)))
    })
}

/// Reads a window. `since` must lie before `until`.
pub(super) fn window(
    since: Option<&str>,
    until: Option<&str>,
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
        ] {
            assert_eq!(instant("at", Some(text), NOW), Ok(Some(is)), "{text}");
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
            let said = instant("since", Some(text), NOW).unwrap_err().to_string();
            assert!(said.starts_with("`since` takes an RFC 3339 instant"), "{text}: {said}");
        }
    }

    #[test]
    fn a_window_that_is_empty_says_so() {
        let said = window(Some("5m"), Some("10m"), NOW).unwrap_err().to_string();
        assert!(
            said.contains("the window is empty") && said.contains("2027-01-15T07:50"),
            "{said}"
        );
        assert!(window(Some("5m"), Some("5m"), NOW).is_err());
        assert!(window(Some("10m"), Some("5m"), NOW).is_ok());
    }

    #[test]
    fn a_national_number_takes_its_region_and_nothing_else_does() {
        for (text, region, is) in [
            ("+14155550123", None, "+14155550123"),
            (" 14155550123", Some("XX"), "+14155550123"),
            ("ann@example.com", Some("XX"), "ann@example.com"),
            ("(415) 555-0123", Some("us"), "+14155550123"),
        ] {
            assert_eq!(handle(text, region).unwrap().canonical(), is, "{text}");
        }
        let needs = handle("4155550123", None).unwrap_err();
        assert_eq!(needs.handle, Some(HandleError::NeedsRegion));
        assert!(needs.to_string().contains("give it as `region`"));
        let unknown = handle("4155550123", Some("XX")).unwrap_err().to_string();
        assert!(unknown.starts_with("`region` takes") && !unknown.contains("XX"), "{unknown}");
    }
}

//! Parameters from text, with one wording for what each takes.

use std::str::FromStr;

use super::call::Invalid;
use crate::{
    clock::Timestamp,
    handle::{Handle, HandleError, Region},
    limits,
};

const INSTANT: &str =
    "an RFC 3339 instant, a date (its midnight, UTC), or a span back from now such as 90m or 7d";

/// Reads a parameter with `read`, if it is there.
pub(super) fn optional<T>(
    name: &str,
    takes: &str,
    text: &Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Invalid> {
    let wrong = || Invalid::new(format!("`{name}` takes {takes}"));
    text.as_deref().map(|text| read(text).ok_or_else(wrong)).transpose()
}

pub(super) fn value<T: FromStr>(
    name: &str,
    takes: &str,
    text: &Option<String>,
) -> Result<Option<T>, Invalid> {
    optional(name, takes, text, |text| text.parse().ok())
}

pub(super) fn choice<T: Copy>(
    name: &str,
    text: &Option<String>,
    all: &[T],
    code: impl Fn(T) -> &'static str,
) -> Result<Option<T>, Invalid> {
    let codes: Vec<_> = all.iter().map(|case| code(*case)).collect();
    let (last, before) = codes.split_last().unwrap_or((&"", &[]));
    let takes = format!("{} or {last}", before.join(", "));
    optional(name, &takes, text, |text| all.iter().copied().find(|case| code(*case) == text))
}

/// Reads how much is wanted at most; none for everything.
pub(super) fn limit(text: &Option<String>) -> Result<Option<usize>, Invalid> {
    let most = limits::LOG_PAGE_RECORDS_MAX;
    let takes = format!("a number from 1 on; JSON gives up to {most}, NDJSON everything");
    optional("limit", &takes, text, |text| text.parse().ok().filter(|limit| *limit > 0))
}

/// How much an answer has that is given as a whole.
pub fn page_limit(wanted: Option<usize>) -> Result<usize, Invalid> {
    let most = limits::LOG_PAGE_RECORDS_MAX;
    match wanted.unwrap_or(limits::LOG_PAGE_RECORDS_DEFAULT) {
        wanted if wanted <= most => Ok(wanted),
        _ => Err(Invalid::new(format!("`limit` takes up to {most} in JSON; NDJSON gives more"))),
    }
}

/// Reads a handle; `region` is the country of a number without a calling code.
pub(super) fn handle(text: &str, region: &Option<String>) -> Result<Handle, Invalid> {
    // In a query a plus sign means a space. Nobody who pastes a number should need to know.
    let text = text.strip_prefix(' ').map_or(text.to_owned(), |digits| format!("+{digits}"));
    match (Handle::parse(&text, None), region) {
        (Err(HandleError::NeedsRegion), Some(region)) => {
            let takes =
                "`region` takes the two letters of a country (ISO 3166-1 alpha-2), such as US";
            let region = Region::parse(region).map_err(|_| Invalid::new(takes))?;
            Handle::parse(&text, Some(region))
        }
        (parsed, _) => parsed,
    }
    .map_err(Invalid::handle)
}

/// Reads a handle that a filter names. Only a call about one handle says by a code of its own that it is none.
pub(super) fn filter_handle(
    text: &Option<String>,
    region: &Option<String>,
) -> Result<Option<Handle>, Invalid> {
    let parsed = text.as_deref().map(|text| handle(text, region)).transpose();
    parsed.map_err(|invalid| Invalid::new(invalid.to_string()))
}

pub(super) fn instant(
    name: &str,
    text: &Option<String>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Invalid> {
    optional(name, INSTANT, text, |text| {
        let span = || humantime::parse_duration(text).ok();
        written_instant(text).or_else(|| span().map(|span| now.minus(span)))
    })
}

/// Reads a window. `since` must lie before `until`.
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
            assert!(said.starts_with("`since` takes an RFC 3339 instant"), "{text}: {said}");
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
        assert!(window(&given("10m"), &given("5m"), NOW).is_ok());
    }

    #[test]
    fn a_national_number_takes_its_region_and_nothing_else_does() {
        for (text, region, is) in [
            ("+14155550123", None, "+14155550123"),
            (" 14155550123", Some("XX"), "+14155550123"),
            ("ann@example.com", Some("XX"), "ann@example.com"),
            ("(415) 555-0123", Some("us"), "+14155550123"),
        ] {
            assert_eq!(handle(text, &region.map(str::to_owned)).unwrap().canonical(), is, "{text}");
        }
        let needs = handle("4155550123", &None).unwrap_err();
        assert_eq!(needs.handle, Some(HandleError::NeedsRegion));
        assert!(needs.to_string().contains("give it as `region`"));
        let unknown = handle("4155550123", &given("XX")).unwrap_err().to_string();
        assert!(unknown.starts_with("`region` takes") && !unknown.contains("XX"), "{unknown}");
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

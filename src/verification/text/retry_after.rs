//! The header `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date in one of three formats.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

use crate::clock::Timestamp;

/// The span that the server asks for. None: it asks for none, or nobody can read it.
///
/// A date counts from the answer's own `Date`, so that the two clocks need not agree. Only without it from `now`. A date in
/// the past asks for no pause.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = text_of(headers, &RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let sent = text_of(headers, &DATE).and_then(unix_secs);
    let sent = sent.or_else(|| i64::try_from(now.as_secs()).ok())?;
    let secs = unix_secs(text)?.saturating_sub(sent);
    Some(Duration::from_secs(u64::try_from(secs).unwrap_or(0)))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// The Unix time of `Sun, 06 Nov 1994 08:49:37 GMT`, or of the two obsolete formats that recipients must accept.
fn unix_secs(date: &str) -> Option<i64> {
    let obsolete = || {
        let formats = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        let mut dates =
            formats.iter().filter_map(|format| NaiveDateTime::parse_from_str(date, format).ok());
        dates.next().map(|date| date.and_utc().timestamp())
    };
    let fixed = DateTime::parse_from_rfc2822(date).ok().map(|date| date.timestamp());
    fixed.or_else(obsolete)
}

/// Reads the first line of `bytes` as `Retry-After` and the second as `Date`, as a fuzz target gives them.
#[cfg(feature = "testing")]
pub fn fuzz_retry_after(bytes: &[u8]) {
    use reqwest::header::HeaderValue;

    let mut headers = HeaderMap::new();
    let lines = bytes.split(|byte| *byte == b'\n').map(HeaderValue::from_bytes);
    for (name, line) in [RETRY_AFTER, DATE].into_iter().zip(lines) {
        headers.extend(line.ok().map(|line| (name, line)));
    }
    let _ = retry_after(&headers, Timestamp::from_secs(784_111_777));
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn asked(retry_after: &str, date: Option<&str>) -> Option<Duration> {
        let value = |text| HeaderValue::from_str(text).expect("a header");
        let mut headers = HeaderMap::from_iter([(RETRY_AFTER, value(retry_after))]);
        headers.extend(date.map(|date| (DATE, value(date))));
        // Sun, 06 Nov 1994 08:49:37 GMT.
        super::retry_after(&headers, Timestamp::from_secs(784_111_777))
    }

    #[test]
    fn seconds_and_each_format_of_a_date_are_read() {
        for (text, secs) in [
            ("0", Some(0)),
            ("3", Some(3)),
            (" 120 ", Some(120)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3)),
            ("Sun Nov  6 08:49:40 1994", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("", None),
            ("soon", None),
            ("-3", None),
            ("3.5", None),
            ("06 Nov", None),
            ("Sun, 31 Feb 1994 08:49:40 GMT", None),
        ] {
            assert_eq!(asked(text, None), secs.map(Duration::from_secs), "{text:?}");
        }
        assert_eq!(super::retry_after(&HeaderMap::new(), Timestamp::from_secs(0)), None);
    }

    #[test]
    fn a_date_counts_from_the_clock_that_wrote_it() {
        let date = "Mon, 07 Nov 1994 08:49:37 GMT";
        let in_three = Some(Duration::from_secs(3));
        assert_eq!(asked("Mon, 07 Nov 1994 08:49:40 GMT", Some(date)), in_three);
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:40 GMT", Some("no date")), in_three);
        assert_eq!(asked("3", Some(date)), in_three);
    }
}

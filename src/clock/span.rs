//! Spans as people write them (`30d`, `90m`, `1h 30m`), for `#[serde(with = "crate::clock::span")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// Units from the longest on, in nanoseconds.
const UNITS: &[(&str, u128)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Writes the span as a whole number of the longest unit that fits: `30d`, `90m`. A number that the reader does not take, because it is
/// too large, becomes two.
pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let nanos = span.as_nanos();
    let fits = |(_, unit): &&(&str, u128)| nanos.is_multiple_of(*unit);
    let (unit, length) = UNITS.iter().find(fits).filter(|_| nanos > 0).unwrap_or(&("s", 1));
    // The reader counts parts of a second in nanoseconds, with 64 bits.
    let is_read = *length >= 1_000_000_000 || u64::try_from(nanos).is_ok();
    if is_read {
        serializer.collect_str(&format_args!("{}{unit}", nanos / length))
    } else {
        let (secs, nanos) = (span.as_secs(), span.subsec_nanos());
        serializer.collect_str(&format_args!("{secs}s {nanos}ns"))
    }
}

/// Reads a number with a unit, or several.
///
/// # Errors
/// If the text is no span; the message shows the accepted form.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| de::Error::custom("expected a span such as \"30d\", \"12h\" or \"90m\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_as_people_write_it_and_read_back() {
        for text in ["0s", "30d", "36h", "90m", "20s", "1500ms", "1us", "1ns", "400d"] {
            let span = humantime::parse_duration(text).unwrap();
            let written = serialize(&span, serde_json::value::Serializer).unwrap();
            assert_eq!(written, text);
            assert_eq!(deserialize(written).unwrap(), span);
        }
    }

    #[test]
    fn a_span_of_centuries_is_read_back_too() {
        let milliseconds = Duration::new(1_666_673_895_253, 680_000_000);
        let microseconds = Duration::new(18_446_744_074, 1_000);
        let small = Duration::from_nanos(u64::MAX);
        let nanoseconds =
            [Duration::new(u64::MAX, 1), Duration::new(18_446_744_074, 1), Duration::MAX];
        for span in [nanoseconds.as_slice(), &[milliseconds, microseconds, small]].concat() {
            let written = serialize(&span, serde_json::value::Serializer).unwrap();
            assert_eq!(deserialize(written.clone()).ok(), Some(span), "{written}");
        }
    }
}

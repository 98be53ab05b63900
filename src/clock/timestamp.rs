//! Instants and hours.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MICROS_PER_HOUR: u64 = 3_600_000_000;
/// Hours until 2084-01-29. The numbers of hours are decimal, so that a person can read a file's name.
const HOURS_OF_AN_ERA: u32 = 1_000_000;
/// The first instant that RFC 3339 cannot write (year 10000): later ones are clamped when printed.
const MICROS_PRINTABLE_MAX: u64 = 253_402_300_799_999_999;

/// An instant: microseconds since the Unix epoch, UTC. Written as RFC 3339 with six digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// One hour of UTC in one [`Era`]: what a log segment covers. Hours are ordered by era, then by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(u32);

/// Counts how often trusted time jumped, or may have been wrong from then on. Within an era it never jumps, so that an hour names
/// one span of real time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Era(u16);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// Later than every other instant.
    pub const MAX: Self = Self(u64::MAX);

    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From seconds since the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The hour that holds this instant, in an era.
    #[must_use]
    pub fn hour(self, era: Era) -> Hour {
        let hours = u32::try_from(self.0 / MICROS_PER_HOUR).unwrap_or(u32::MAX);
        Hour(u32::from(era.0) * HOURS_OF_AN_ERA + hours.min(HOURS_OF_AN_ERA - 1))
    }

    /// This instant moved by a number of microseconds, at least the epoch.
    #[must_use]
    pub const fn moved(self, micros: i64) -> Self {
        Self(self.0.saturating_add_signed(micros))
    }

    /// This instant moved on by `span`, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros(span)))
    }

    /// This instant moved back by `span`, at least the epoch.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros(span)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Hour {
    /// From the number that [`Self::number`] returns.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The era times a million, plus hours since the Unix epoch: what names the hour in files.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The era.
    #[must_use]
    pub fn era(self) -> Era {
        Era(u16::try_from(self.0 / HOURS_OF_AN_ERA).unwrap_or(u16::MAX))
    }

    /// The first instant of the hour.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp((self.0 % HOURS_OF_AN_ERA) as u64 * MICROS_PER_HOUR)
    }

    /// The first instant after the hour.
    #[must_use]
    pub const fn end(self) -> Timestamp {
        Timestamp(self.start().0 + MICROS_PER_HOUR)
    }

    /// Whether the hour holds this instant.
    #[must_use]
    pub fn contains(self, at: Timestamp) -> bool {
        at.hour(self.era()) == self
    }
}

impl Era {
    /// The last one. What comes after it stays in it.
    pub(super) const MAX: Self = Self(4_095);

    pub(super) const fn from_number(number: u16) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u16 {
        self.0
    }

    #[must_use]
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1).min(Self::MAX)
    }
}

pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = i64::try_from(self.0.min(MICROS_PRINTABLE_MAX)).unwrap_or(i64::MAX);
        let time = DateTime::<Utc>::from_timestamp_micros(clamped).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// The text is not an RFC 3339 instant at or after the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 instant such as 2026-11-23T08:41:07Z")]
pub struct TimestampError;

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError)?;
        u64::try_from(time.timestamp_micros()).map(Self).map_err(|_| TimestampError)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_and_parse_with_microseconds() {
        let at = Timestamp::from_micros(1_795_423_267_123_456);
        assert_eq!(at.to_string(), "2026-11-23T08:41:07.123456Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-23T09:41:07.123456+01:00".parse(), Ok(at));
        assert_eq!("1969-12-31T23:59:59Z".parse::<Timestamp>(), Err(TimestampError));
        assert_eq!("yesterday".parse::<Timestamp>(), Err(TimestampError));
        assert!(Timestamp::MAX.to_string().starts_with("9999-12-31"));
    }

    #[test]
    fn an_hour_holds_its_start_but_not_its_end() {
        let at = Timestamp::from_micros(1_795_423_267_123_456);
        for (era, number) in [(Era(0), 498_728), (Era(7), 7_498_728), (Era::MAX, 4_095_498_728)] {
            let hour = at.hour(era);
            assert_eq!((hour.number(), hour.era()), (number, era));
            assert_eq!(hour.start().hour(era), hour);
            assert_eq!(hour.end().hour(era).number(), hour.number() + 1);
            assert_eq!(hour.end().since(hour.start()), Duration::from_secs(3600));
            assert!(hour.contains(at) && hour.contains(hour.start()) && !hour.contains(hour.end()));
        }
        assert!(Timestamp::EPOCH.hour(Era(8)) > Timestamp::MAX.hour(Era(7)));
    }
}

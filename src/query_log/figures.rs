//! What metrics show of the log.

use std::time::Duration;

use super::{
    catalog::{Form, Segment},
    durations::LogDurations,
    engine::LogState,
    log::QueryLog,
};
use crate::clock::{Hour, Timestamp};

/// The age of what the log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogAges {
    /// The start of the oldest hour whose key exists, corrected by what is known about the clock of that hour. None if there is
    /// no key.
    pub oldest_key: Option<Timestamp>,
    /// `log.retention`.
    pub retention: Duration,
    /// The age of the end of the oldest hour that is not sealed. Zero if there is none.
    pub sealing_lag: Duration,
}

impl QueryLog {
    /// How long the log's writes took so far.
    pub fn durations(&self) -> &LogDurations {
        &self.durations
    }

    /// The ages now. Reads no file.
    pub fn ages(&self) -> LogAges {
        let sources = &self.shared.sources;
        let hours = sources.keyring.hours();
        let corrected = |hour: &Hour| sources.clock.began(*hour);
        LogAges {
            oldest_key: hours.iter().map(corrected).min(),
            retention: sources.retention,
            sealing_lag: self.shared.sealing_lag(),
        }
    }
}

impl LogState {
    /// What is to be sealed once its hour has ended, finished or not. Records of an earlier process count from their hour, too.
    fn sealing_lag(&self) -> Duration {
        let sources = &self.sources;
        let now = sources.clock.now();
        let is_waiting = |segment: &Segment| segment.form == Form::Frames && segment.records() > 0;
        let segments = sources.catalog.segments();
        let waiting = segments.iter().filter(|segment| is_waiting(segment));
        let ends = waiting.map(|segment| {
            let hour = segment.id.hour;
            hour.end().moved(sources.clock.shift_us(hour.era()))
        });
        ends.min().map_or(Duration::ZERO, |end| now.since(end))
    }
}

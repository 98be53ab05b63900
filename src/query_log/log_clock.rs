//! The log's own time: trusted time, but it does not follow a small step back.
//!
//! Suppose that trusted time is corrected by two hours back. New records must come after the records already written. So the
//! log's time continues from its last instant, at half the pace of the boot clock, until trusted time has caught up.
//! The log follows a step back of more than [`limits::CLOCK_STEP_BACK_MAX`] at once: time must have been wrong before the
//! step, and catching up would take too long.

use std::time::Duration;

use crate::{
    clock::{Clock, Timestamp},
    limits,
};

/// If trusted time is behind by less than this, the log's time advances by one microsecond for each record. Many
/// records in one microsecond look like a clock that stands still.
const PACED_FROM: Duration = Duration::from_secs(1);

/// Gives each record its instant; instants of one segment strictly increase.
#[derive(Debug)]
pub(super) struct LogClock {
    last: Timestamp,
    /// The log's time and the boot clock's time when trusted time fell behind; none while it is not.
    anchor: Option<(Timestamp, Duration)>,
}

impl LogClock {
    /// Continues after `last`, the newest record on disk.
    pub(super) const fn after(last: Timestamp) -> Self {
        Self { last, anchor: None }
    }

    /// The instant of the next record: later than the last, unless time went back further than the limit.
    pub(super) fn next(&mut self, clock: &dyn Clock) -> Timestamp {
        let now = clock.now();
        let behind = self.last.since(now);
        let is_too_far = behind > limits::CLOCK_STEP_BACK_MAX;
        if is_too_far {
            let behind_s = behind.as_secs();
            tracing::warn!(behind_s, "trusted time went back by over a day; the log follows it");
        }
        if now > self.last || is_too_far {
            self.anchor = None;
            self.last = now;
            return now;
        }
        let paced = if behind < PACED_FROM {
            self.anchor = None;
            self.last
        } else {
            let boot = clock.boot();
            let (at, since) = *self.anchor.get_or_insert((self.last, boot));
            at.plus(boot.saturating_sub(since) / 2)
        };
        self.last = paced.max(self.follow());
        self.last
    }

    /// The instant one microsecond after the last, for records appended together.
    pub(super) fn follow(&mut self) -> Timestamp {
        self.last = self.last.plus(Duration::from_micros(1));
        self.last
    }

    /// What [`Self::next`] would return now.
    pub(super) fn peek(&self, clock: &dyn Clock) -> Timestamp {
        Self { last: self.last, anchor: self.anchor }.next(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn after_a_small_step_back_time_runs_at_half_pace() {
        let start = Timestamp::from_secs(1_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(Timestamp::EPOCH);
        assert_eq!(time.next(&*clock), start);
        clock.set_wall(start.minus(Duration::from_secs(7200)));
        assert_eq!(time.next(&*clock), start.plus(Duration::from_micros(1)));
        for half_hours in 1..7 {
            clock.advance(Duration::from_secs(1800));
            let paced = start.plus(Duration::from_secs(900 * half_hours));
            assert_eq!(time.next(&*clock), paced);
        }
        clock.advance(Duration::from_secs(3600));
        let merged = start.plus(Duration::from_secs(7200));
        assert_eq!(time.next(&*clock), merged);
        clock.advance(Duration::from_secs(1));
        assert_eq!(time.next(&*clock), merged.plus(Duration::from_secs(1)));
    }

    #[test]
    fn a_large_step_back_is_followed() {
        let start = Timestamp::from_secs(10_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(start.plus(limits::CLOCK_STEP_BACK_MAX));
        assert!(time.next(&*clock) > start.plus(limits::CLOCK_STEP_BACK_MAX));
        clock.set_wall(start.minus(Duration::from_secs(1)));
        assert_eq!(time.peek(&*clock), start.minus(Duration::from_secs(1)));
        assert_eq!(time.next(&*clock), start.minus(Duration::from_secs(1)));
    }

    #[test]
    fn a_burst_within_one_microsecond_stays_in_order() {
        let start = Timestamp::from_secs(1_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(Timestamp::EPOCH);
        let burst: Vec<_> =
            (0..5).map(|_| time.next(&*clock).as_micros() - start.as_micros()).collect();
        assert_eq!(burst, [0, 1, 2, 3, 4]);
        assert_eq!(time.follow(), start.plus(Duration::from_micros(5)));
    }
}

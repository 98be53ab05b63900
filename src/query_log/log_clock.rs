//! The log's own time: the wall's, except that it never goes back over a small step.
//!
//! Somebody sets the wall clock back by two hours. Records must not be filed before those already written, so the log's
//! time goes on from its last instant, at half the pace of the boot clock, until the wall has caught up with it. A step
//! of more than [`limits::CLOCK_STEP_BACK_MAX`] is believed instead: then the clock had been wrong before, and the log
//! would be wrong for longer than anybody waits.

use std::time::Duration;

use crate::{
    clock::{Clock, Timestamp},
    limits,
};

/// Behind by less than this, the log's time just counts on: many records within one microsecond look the same as a wall
/// clock that stands still.
const PACED_FROM: Duration = Duration::from_secs(1);

/// Gives each record its instant.
#[derive(Debug)]
pub(super) struct LogClock {
    last: Timestamp,
    /// While well behind: the log's instant and the boot clock's when that began.
    anchor: Option<(Timestamp, Duration)>,
}

impl LogClock {
    /// Goes on after `last`, the newest record on disk.
    pub(super) const fn after(last: Timestamp) -> Self {
        Self { last, anchor: None }
    }

    /// The instant of the next record: later than the one before, unless the wall went back too far to wait for.
    pub(super) fn next(&mut self, clock: &dyn Clock) -> Timestamp {
        let wall = clock.now();
        if wall > self.last {
            self.anchor = None;
            self.last = wall;
            return wall;
        }
        let behind = self.last.since(wall);
        if behind > limits::CLOCK_STEP_BACK_MAX {
            let behind_s = behind.as_secs();
            tracing::warn!(
                behind_s,
                "the wall clock went back too far to wait for; the log follows it"
            );
            self.anchor = None;
            self.last = wall;
            return wall;
        }
        let paced = if behind < PACED_FROM {
            self.anchor = None;
            self.last
        } else {
            let boot = clock.boot();
            let (at, since) = *self.anchor.get_or_insert((self.last, boot));
            at.plus(boot.saturating_sub(since) / 2)
        };
        self.last = paced.max(self.last.plus(Duration::from_micros(1)));
        self.last
    }

    /// The instant right after the last one, for more records of the same moment.
    pub(super) fn follow(&mut self) -> Timestamp {
        self.last = self.last.plus(Duration::from_micros(1));
        self.last
    }

    /// Where the log's time would be now, without moving it.
    pub(super) fn peek(&self, clock: &dyn Clock) -> Timestamp {
        Self { last: self.last, anchor: self.anchor }.next(clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_small_step_back_is_waited_for_at_half_pace() {
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
    fn a_large_step_back_is_believed() {
        let start = Timestamp::from_secs(10_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(start.plus(limits::CLOCK_STEP_BACK_MAX));
        assert!(time.next(&*clock) > start.plus(limits::CLOCK_STEP_BACK_MAX));
        clock.set_wall(start.minus(Duration::from_secs(1)));
        assert_eq!(time.peek(&*clock), start.minus(Duration::from_secs(1)));
        assert_eq!(time.next(&*clock), start.minus(Duration::from_secs(1)));
    }

    #[test]
    fn a_burst_within_one_microsecond_counts_on() {
        let start = Timestamp::from_secs(1_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(Timestamp::EPOCH);
        let burst: Vec<_> =
            (0..5).map(|_| time.next(&*clock).as_micros() - start.as_micros()).collect();
        assert_eq!(burst, [0, 1, 2, 3, 4]);
        assert_eq!(time.follow(), start.plus(Duration::from_micros(5)));
    }
}

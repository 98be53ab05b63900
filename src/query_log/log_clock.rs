//! The log's own time: trusted time, but it does not follow a small step back.
//!
//! Within an era trusted time goes back by an hour a day at most. New records must come after the records already written. So the
//! log's time continues from its last instant, at half the pace of the boot clock, until trusted time has caught up.
//! In a new era the log follows trusted time at once.
//!
//! In a cluster the log's time is also never before the time at which the newest change was decided that the node shows
//! ([`LogClock::not_before`]). Then a lookup whose instant is earlier was decided without that change, whatever the nodes' clocks.

use std::time::Duration;

use crate::{
    clock::{Clock, Era, Hour, Timestamp},
    limits,
};

/// If trusted time is behind by less than this, the log's time advances by one microsecond for each record. Many
/// records in one microsecond look like a clock that stands still.
const PACED_FROM: Duration = Duration::from_secs(1);

/// Gives each record its instant; instants of one era strictly increase.
#[derive(Clone, Debug)]
pub(super) struct LogClock {
    last: Timestamp,
    /// The era of `last`.
    era: Era,
    /// The log's time and the boot clock's time when trusted time fell behind; none while it is not.
    anchor: Option<(Timestamp, Duration)>,
}

impl LogClock {
    /// Continues after `last`, the newest record of this era on disk.
    pub(super) const fn after(last: Timestamp, era: Era) -> Self {
        Self { last, era, anchor: None }
    }

    /// The instant of the next record: later than the last, unless an era begins.
    pub(super) fn next(&mut self, clock: &dyn Clock) -> Timestamp {
        let (now, era) = clock.stamp();
        if now > self.last || era != self.era {
            *self = Self::after(now, era);
            return now;
        }
        let behind = self.last.since(now);
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

    /// No later instant is before `floor`, unless an era begins. A floor does not count that is farther ahead of trusted time than another
    /// node's clock can be: whatever is stamped late would be kept for too long.
    pub(super) fn not_before(&mut self, floor: Timestamp, clock: &dyn Clock) {
        let (now, era) = clock.stamp();
        let is_ahead = now < floor && (self.last < floor || self.era != era);
        if is_ahead && floor <= now.plus(limits::CLUSTER_ENTRY_AHEAD_MAX) {
            *self = Self::after(floor, era);
        }
    }

    /// The era of the last instant.
    pub(super) const fn era(&self) -> Era {
        self.era
    }

    /// The hour of what [`Self::next`] would return now.
    pub(super) fn hour(&self, clock: &dyn Clock) -> Hour {
        let mut next = self.clone();
        next.next(clock).hour(next.era)
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
        let mut time = LogClock::after(Timestamp::EPOCH, Era::default());
        assert_eq!(time.next(&*clock), start);
        clock.set_wall(start.minus(Duration::from_secs(3600)));
        assert_eq!(time.next(&*clock), start.plus(Duration::from_micros(1)));
        for quarters in 1..7 {
            clock.advance(Duration::from_secs(900));
            let paced = start.plus(Duration::from_secs(450 * quarters));
            assert_eq!(time.next(&*clock), paced);
        }
        clock.advance(Duration::from_secs(1800));
        let merged = start.plus(Duration::from_secs(3600));
        assert_eq!(time.next(&*clock), merged);
        clock.advance(Duration::from_secs(1));
        assert_eq!(time.next(&*clock), merged.plus(Duration::from_secs(1)));
    }

    #[test]
    fn no_record_is_before_the_newest_change_that_is_shown() {
        let start = Timestamp::from_secs(1_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(Timestamp::EPOCH, Era::default());
        let after = |span: Duration| start.plus(span);
        let tick = Duration::from_micros(1);
        let ahead = limits::CLUSTER_ENTRY_AHEAD_MAX;
        // Whatever is past changes nothing.
        time.not_before(start.minus(tick), &*clock);
        time.not_before(start, &*clock);
        assert_eq!(time.next(&*clock), start);
        // Nor does what cannot be right.
        time.not_before(after(ahead + tick), &*clock);
        assert_eq!(time.next(&*clock), after(tick));
        time.not_before(after(ahead), &*clock);
        assert_eq!(time.next(&*clock), after(ahead + tick));
        time.not_before(after(tick * 5), &*clock);
        assert_eq!(time.next(&*clock), after(ahead + tick * 2));
        // Trusted time catches up.
        clock.advance(ahead * 2);
        assert_eq!(time.next(&*clock), after(ahead * 2));
    }

    #[test]
    fn a_change_is_followed_in_a_new_era_too() {
        let start = Timestamp::from_secs(10_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(Timestamp::EPOCH, Era::default());
        assert_eq!(time.next(&*clock), start);
        let past = start.minus(Duration::from_secs(3601));
        clock.set_wall(past);
        let floor = past.plus(Duration::from_millis(400));
        time.not_before(floor, &*clock);
        assert!(floor < time.next(&*clock) && time.era() > Era::default());
    }

    #[test]
    fn a_new_era_is_followed() {
        let start = Timestamp::from_secs(10_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(start.plus(Duration::from_secs(9)), Era::default());
        assert!(time.next(&*clock) > start.plus(Duration::from_secs(9)));
        let past = start.minus(Duration::from_secs(3601));
        clock.set_wall(past);
        assert_eq!(time.hour(&*clock), past.hour(clock.stamp().1));
        assert_eq!(time.next(&*clock), past);
        assert!(time.era() > Era::default());
    }

    #[test]
    fn a_burst_within_one_microsecond_stays_in_order() {
        let start = Timestamp::from_secs(1_000_000);
        let clock = ManualClock::at(start);
        let mut time = LogClock::after(Timestamp::EPOCH, Era::default());
        let burst: Vec<_> =
            (0..5).map(|_| time.next(&*clock).as_micros() - start.as_micros()).collect();
        assert_eq!(burst, [0, 1, 2, 3, 4]);
        assert_eq!(time.follow(), start.plus(Duration::from_micros(5)));
    }
}

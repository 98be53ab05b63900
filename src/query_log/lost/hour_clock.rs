//! [`HourClock`]: this machine's clock, as it dates one hour of another machine's log.

use std::time::Duration;

use crate::clock::{Clock, Era, Hour, SharedClock, Timestamp};

/// Says of one hour of another machine when it was by this machine's clock. That is later or earlier than its number says if either clock
/// was corrected.
#[derive(Debug)]
pub(super) struct HourClock {
    inner: SharedClock,
    shift_us: i64,
}

impl HourClock {
    /// For `hour`, whose key is dated as `dated` here. Its rows expire up to an hour early, never late, as its key does.
    pub(super) fn of(inner: &SharedClock, hour: Hour, dated: Hour) -> Self {
        let (began, named) = (inner.began(dated).as_micros(), hour.start().as_micros());
        let apart = i64::try_from(began.abs_diff(named)).unwrap_or(i64::MAX);
        let shift_us = if began < named { -apart } else { apart };
        Self { inner: SharedClock::clone(inner), shift_us }
    }
}

impl Clock for HourClock {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn latest(&self) -> Timestamp {
        self.inner.latest()
    }

    fn wall_clock(&self) -> Timestamp {
        self.inner.wall_clock()
    }

    fn boot(&self) -> Duration {
        self.inner.boot()
    }

    /// Whatever the era: it is one of the other machine.
    fn shift_us(&self, _: Era) -> i64 {
        self.shift_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn an_hour_is_dated_by_this_machine_whatever_its_number_says() {
        let clock: SharedClock = ManualClock::at(Timestamp::from_secs(1_795_420_800));
        let retention = Duration::from_secs(7_200);
        let hour = clock.now().hour(Era::default());
        for hours in [-3_i32, 0, 5] {
            let dated = Hour::from_number(hour.number().strict_add_signed(hours));
            let of_hour = HourClock::of(&clock, hour, dated);
            assert_eq!(of_hour.expiry(hour, retention), clock.expiry(dated, retention), "{hours}");
        }
    }
}

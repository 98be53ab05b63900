//! The clock that everything takes time from.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    machine::{Machine, SystemClock},
    timestamp::{Era, Hour, Timestamp},
};

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time by which records are stamped, devices lapse and data is destroyed. In a server it is
    /// [trusted time](super::TrustedClock).
    fn now(&self) -> Timestamp;

    /// The later of [`Clock::now`] and the wall clock. Reads hide what has expired by it: if the two disagree, nothing is
    /// shown for too long.
    fn latest(&self) -> Timestamp {
        self.now()
    }

    /// The machine's wall clock, for what others compare with theirs: nothing of our own may go by it.
    fn wall_clock(&self) -> Timestamp {
        self.now()
    }

    /// Time since the machine started, sleep included. Never goes back and cannot be set.
    fn boot(&self) -> Duration;

    /// [`Clock::now`], with the era in which it is so.
    fn stamp(&self) -> (Timestamp, Era) {
        (self.now(), Era::default())
    }

    /// How much later an instant really was that [`Clock::stamp`] gave in this era, in microseconds: trusted time was
    /// corrected since. Negative if it was earlier.
    fn shift_us(&self, _era: Era) -> i64 {
        0
    }

    /// When an hour really began, as far as trusted time was corrected since.
    fn began(&self, hour: Hour) -> Timestamp {
        hour.start().moved(self.shift_us(hour.era()))
    }

    /// When the oldest possible content of an hour is as old as `retention`.
    fn expiry(&self, hour: Hour, retention: Duration) -> Timestamp {
        self.began(hour).plus(retention)
    }

    /// The latest trusted time that there was since an era began.
    fn reached(&self, _era: Era) -> Timestamp {
        self.now()
    }

    /// The instant from which a span is counted that began at `stamp`: moved on by each jump of trusted time since. So neither a
    /// correction nor the time for which the server was off counts, if it is more than an hour.
    fn rebase(&self, stamp: Timestamp, _now: Timestamp) -> Timestamp {
        stamp
    }
}

/// A clock that several modules share.
pub type SharedClock = Arc<dyn Clock>;

/// The wall clock, believed as it is: for commands that decide nothing by it.
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.wall()
    }

    fn boot(&self) -> Duration {
        self.uptime()
    }
}

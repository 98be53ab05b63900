//! A clock for tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    system::Clock,
    timestamp::{Timestamp, micros},
};

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    wall_micros: AtomicU64,
    boot_micros: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            wall_micros: AtomicU64::new(now.as_micros()),
            boot_micros: AtomicU64::new(0),
        })
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, span: Duration) {
        self.wall_micros.fetch_add(micros(span), Ordering::SeqCst);
        self.boot_micros.fetch_add(micros(span), Ordering::SeqCst);
    }

    /// Sets the wall clock, as a wrong time server or a person would; the boot clock does not notice.
    pub fn set_wall(&self, now: Timestamp) {
        self.wall_micros.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.wall_micros.load(Ordering::SeqCst))
    }

    fn boot(&self) -> Duration {
        Duration::from_micros(self.boot_micros.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn the_boot_clock_does_not_notice_a_set_wall_clock() {
        let clock = ManualClock::at(Timestamp::from_secs(1_000));
        clock.advance(Duration::from_secs(5));
        clock.set_wall(Timestamp::from_secs(10));
        assert_eq!((clock.now(), clock.boot()), (Timestamp::from_secs(10), Duration::from_secs(5)));
        assert!(SystemClock.boot() > Duration::ZERO);
        assert!(SystemClock.now() > Timestamp::from_secs(1_700_000_000));
    }
}

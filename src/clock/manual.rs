//! A clock for tests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    machine::Machine,
    system::Clock,
    timestamp::{Era, Timestamp, micros},
};
use crate::limits;

/// A machine whose clocks stand still until a test moves them. As a [`Clock`] it believes its wall clock.
#[derive(Debug)]
pub struct ManualClock {
    wall_micros: AtomicU64,
    boot_micros: AtomicU64,
    run: AtomicU64,
    era: AtomicU16,
    is_synchronised: AtomicBool,
}

impl ManualClock {
    /// A clock that shows `now`. The kernel calls it synchronised.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            wall_micros: AtomicU64::new(now.as_micros()),
            boot_micros: AtomicU64::new(0),
            run: AtomicU64::new(1),
            era: AtomicU16::new(0),
            is_synchronised: AtomicBool::new(true),
        })
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, span: Duration) {
        self.wall_micros.fetch_add(micros(span), Ordering::SeqCst);
        self.boot_micros.fetch_add(micros(span), Ordering::SeqCst);
    }

    /// Sets the wall clock, as a wrong time server or a person would; the boot clock does not notice. A step by more than an hour begins
    /// an era of this [`Clock`].
    pub fn set_wall(&self, now: Timestamp) {
        let before =
            Timestamp::from_micros(self.wall_micros.swap(now.as_micros(), Ordering::SeqCst));
        if now.since(before).max(before.since(now)) > limits::CLOCK_AGREEMENT {
            self.era.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Sets what the kernel says of the wall clock.
    pub fn set_synchronised(&self, is_synchronised: bool) {
        self.is_synchronised.store(is_synchronised, Ordering::SeqCst);
    }

    /// Reboots the machine: the boot clock begins at zero.
    pub fn reboot(&self) {
        self.run.fetch_add(1, Ordering::SeqCst);
        self.boot_micros.store(0, Ordering::SeqCst);
    }
}

impl Machine for ManualClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.wall_micros.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.boot_micros.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> Option<String> {
        Some(self.run.load(Ordering::SeqCst).to_string())
    }

    fn is_synchronised(&self, _: Timestamp) -> bool {
        self.is_synchronised.load(Ordering::SeqCst)
    }

    /// Tests set the wall clock without letting time pass.
    fn compare_every(&self) -> Duration {
        Duration::ZERO
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.wall()
    }

    fn boot(&self) -> Duration {
        self.uptime()
    }

    fn stamp(&self) -> (Timestamp, Era) {
        (self.wall(), Era::from_number(self.era.load(Ordering::SeqCst)))
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

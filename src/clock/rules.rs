//! When trusted time follows the wall clock. No I/O: readings in, a decision out.
//!
//! Trusted time is the boot clock plus an offset. The offset changes only when trusted time follows the wall clock:
//!
//! - While wall clock and trusted time agree within an hour, each comparison follows the wall clock. Small steps may not add up
//!   to more than an hour within a day.
//! - Within one boot a larger step is not followed: somebody set the clock, rightly or not.
//! - After a reboot nobody knows how long the machine was off. A wall clock that is at most an hour ahead, or
//!   a minute behind, is followed. One that is at most seven days ahead, or an hour behind, is on probation. All others are
//!   not followed.
//! - A clock that was not followed is followed when it agrees again, when its probation ends without a jump, when the
//!   kernel reports synchronised time, or when an operator says so.
//!
//! Each jump of trusted time, and each doubt about it, begins an [era](super::eras).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    eras::{Eras, Evidence},
    timestamp::{Timestamp, micros},
};
use crate::limits;

/// What the machine's clocks show at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) wall: Timestamp,
    pub(super) boot: Duration,
    pub(super) is_synchronised: bool,
}

impl Reading {
    /// Wall clock less boot clock, in microseconds.
    fn offset_us(self) -> i64 {
        let wall = self.wall.min(Timestamp::EPOCH.plus(limits::CLOCK_LATEST));
        signed(wall.as_micros()).saturating_sub(signed(micros(self.boot))).max(0)
    }
}

/// Whether trusted time follows the wall clock, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub(super) enum Standing {
    /// It does.
    Followed,
    /// The wall clock was set by more than an hour while the machine ran.
    Stepped,
    /// The machine was rebooted, and its wall clock does not fit what was known before.
    Rebooted {
        /// The boot clock's reading from which the probation counts, in microseconds.
        since_us: u64,
        /// Wall clock less boot clock at that moment, in microseconds.
        offset_us: i64,
    },
}

/// Trusted time as an offset to the boot clock.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Trusted time less the boot clock, in microseconds; never negative.
    pub(super) offset_us: i64,
    pub(super) standing: Standing,
    pub(super) eras: Eras,
    /// The boot clock and the offset from which small steps count.
    pub(super) steps_from: (u64, i64),
}

impl Rules {
    /// Follows the wall clock, with nothing known from before.
    pub(super) fn new(reading: Reading) -> Self {
        Self::at_offset(reading, reading.offset_us(), Standing::Followed, Eras::default())
    }

    fn at_offset(reading: Reading, offset_us: i64, standing: Standing, eras: Eras) -> Self {
        let offset_us = offset_us.max(0);
        Self { offset_us, standing, eras, steps_from: (micros(reading.boot), offset_us) }
    }

    /// Continues from `trusted`, when the boot clock showed `boot` in the same boot.
    pub(super) fn same_boot(
        trusted: Timestamp,
        boot: Duration,
        standing: Standing,
        eras: Eras,
        steps_from: (u64, i64),
    ) -> Self {
        let offset_us = signed(trusted.as_micros()).saturating_sub(signed(micros(boot))).max(0);
        Self { offset_us, standing, eras, steps_from }
    }

    /// Continues from `trusted` after a reboot, or on another machine. How much of the boot clock's time has passed since then is not
    /// known: the directory may come from a machine that ran at the same time. So trusted time is what the wall clock
    /// shows, but not before `trusted`, and not later than the boot clock can account for.
    pub(super) fn rebooted(
        trusted: Timestamp,
        was: Standing,
        eras: Eras,
        reading: Reading,
    ) -> Self {
        let (since_us, offset_us) = (micros(reading.boot), reading.offset_us());
        let standing = Standing::Rebooted { since_us, offset_us };
        let now = reading.wall.clamp(trusted, trusted.plus(reading.boot));
        let offset_us = signed(now.as_micros()).saturating_sub(signed(micros(reading.boot)));
        let mut rules = Self::at_offset(reading, offset_us, standing, eras);
        // If it was not followed before either, nobody has confirmed anything since, and the doubt is the same.
        if was == Standing::Followed && !rules.is_drift(reading) {
            rules.eras.begin();
        }
        rules
    }

    /// Whether the wall clock after a reboot shows what a clock shows that ran on meanwhile.
    fn is_drift(&self, reading: Reading) -> bool {
        (-signed(micros(limits::CLOCK_JUMP))..=agreement()).contains(&self.ahead_us(reading))
    }

    pub(super) fn at(&self, boot: Duration) -> Timestamp {
        let micros = signed(micros(boot)).saturating_add(self.offset_us);
        Timestamp::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Compares the clocks, and follows the wall clock if it may. Any evidence but a plausible reading is enough.
    pub(super) fn compare(&mut self, reading: Reading, evidence: Evidence, probation: Duration) {
        if evidence == Evidence::Plausible {
            self.eras.doubt();
        }
        let may_follow = match self.standing {
            Standing::Followed | Standing::Stepped => self.is_small_step(reading),
            Standing::Rebooted { .. } => {
                self.probation_left(reading, probation) == Some(Duration::ZERO)
                    || self.is_drift(reading)
            }
        };
        if evidence != Evidence::Plausible || self.standing != Standing::Followed && may_follow {
            self.follow(reading, evidence);
        } else if may_follow {
            // Not `follow`, which would begin another day of small steps.
            self.offset_us = reading.offset_us();
        } else if self.standing == Standing::Followed {
            self.standing = Standing::Stepped;
        }
    }

    /// Whether the wall clock agrees within an hour, with trusted time and with what it was up to a day ago: many small steps
    /// are a large one.
    fn is_small_step(&mut self, reading: Reading) -> bool {
        let (since_us, _) = self.steps_from;
        if micros(reading.boot).saturating_sub(since_us) >= micros(limits::CLOCK_STEPS_SPAN) {
            self.steps_from = (micros(reading.boot), self.offset_us);
        }
        let offset_us = reading.offset_us();
        let is_near = |other: i64| offset_us.abs_diff(other) <= micros(limits::CLOCK_AGREEMENT);
        is_near(self.offset_us) && is_near(self.steps_from.1)
    }

    /// How long the wall clock must still keep from jumping until it is followed. None if waiting does not help. A jump begins
    /// the probation anew.
    pub(super) fn probation_left(
        &mut self,
        reading: Reading,
        probation: Duration,
    ) -> Option<Duration> {
        let ahead = self.ahead_us(reading);
        let Standing::Rebooted { since_us, offset_us } = &mut self.standing else { return None };
        let (offset, boot_us) = (reading.offset_us(), micros(reading.boot));
        if offset.abs_diff(*offset_us) > micros(limits::CLOCK_JUMP) {
            (*since_us, *offset_us) = (boot_us, offset);
        }
        let waited = Duration::from_micros(boot_us.saturating_sub(*since_us));
        let ahead_max = signed(micros(limits::CLOCK_PROBATION_AHEAD_MAX));
        (-agreement()..=ahead_max).contains(&ahead).then(|| probation.saturating_sub(waited))
    }

    /// Follows the wall clock, whatever it shows.
    pub(super) fn follow(&mut self, reading: Reading, evidence: Evidence) {
        let (from, ahead_us) = (self.at(reading.boot), self.ahead_us(reading));
        self.offset_us = reading.offset_us();
        if self.standing != Standing::Stepped || evidence != Evidence::Plausible {
            self.steps_from = (micros(reading.boot), self.offset_us);
        }
        self.standing = Standing::Followed;
        if ahead_us.abs() > agreement() {
            self.eras.jump(from, self.at(reading.boot), evidence);
        } else if evidence != Evidence::Plausible {
            self.eras.confirm();
        }
    }

    /// Wall clock less trusted time, in microseconds.
    pub(super) fn ahead_us(&self, reading: Reading) -> i64 {
        reading.offset_us().saturating_sub(self.offset_us)
    }
}

fn agreement() -> i64 {
    signed(micros(limits::CLOCK_AGREEMENT))
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

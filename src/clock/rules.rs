//! When trusted time follows the wall clock. No I/O: readings in, a decision out.
//!
//! Trusted time is the boot clock plus an offset. The offset changes only when trusted time follows the wall clock:
//!
//! - While wall clock and trusted time agree within an hour, each comparison follows the wall clock.
//! - Within one run of the machine a larger step is not followed: somebody set the clock, rightly or not.
//! - After a new start of the machine nobody knows how long it was off. A wall clock that is at most an hour ahead is followed.
//!   One that is at most seven days ahead, or at most an hour behind, is on probation. All others are not followed.
//! - A clock that was not followed is followed when it agrees again, when its probation ends without a jump, when the
//!   kernel reports synchronised time, or when an operator says so.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::timestamp::{Timestamp, micros};
use crate::limits;

/// What the machine's clocks show at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) wall: Timestamp,
    pub(super) boot: Duration,
    pub(super) is_synchronised: bool,
}

/// Whether trusted time follows the wall clock, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub(super) enum Standing {
    /// It does.
    Followed,
    /// The wall clock was set by more than an hour while the machine ran.
    Stepped,
    /// The machine started anew, and its wall clock does not fit what was known before.
    Restarted {
        /// The boot clock's reading from which the probation counts, in microseconds.
        since_us: u64,
        /// Wall clock less boot clock at that moment, in microseconds.
        offset_us: i64,
    },
}

/// What a comparison led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The wall clock is no longer followed.
    Refused,
    /// The wall clock is followed again; trusted time moved by this many microseconds.
    Followed {
        /// How far it moved.
        by_us: i64,
    },
}

/// Trusted time as an offset to the boot clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Trusted time less the boot clock, in microseconds.
    pub(super) offset_us: i64,
    pub(super) standing: Standing,
}

impl Rules {
    /// Follows the wall clock, with nothing known from before.
    pub(super) fn new(reading: Reading) -> Self {
        Self { offset_us: offset(reading), standing: Standing::Followed }
    }

    /// Continues from `trusted`, when the boot clock showed `boot` in the same run of the machine.
    pub(super) fn same_run(trusted: Timestamp, boot: Duration, standing: Standing) -> Self {
        Self { offset_us: signed(trusted.as_micros()) - signed(micros(boot)), standing }
    }

    /// Continues from `trusted` in a new run of the machine. The time since the machine started has passed for certain.
    pub(super) fn new_run(trusted: Timestamp, reading: Reading) -> Self {
        let standing =
            Standing::Restarted { since_us: micros(reading.boot), offset_us: offset(reading) };
        Self { offset_us: signed(trusted.as_micros()), standing }
    }

    pub(super) fn at(&self, boot: Duration) -> Timestamp {
        let micros = signed(micros(boot)).saturating_add(self.offset_us);
        Timestamp::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// Compares the clocks, and follows the wall clock if it may.
    pub(super) fn compare(&mut self, reading: Reading, probation: Duration) -> Option<Event> {
        let (wall, agreement) = (offset(reading), signed(micros(limits::CLOCK_AGREEMENT)));
        let ahead = wall.saturating_sub(self.offset_us);
        let may_follow = reading.is_synchronised
            || match &mut self.standing {
                Standing::Followed | Standing::Stepped => ahead.abs() <= agreement,
                Standing::Restarted { since_us, offset_us } => {
                    let jumped = wall.abs_diff(*offset_us) > micros(limits::CLOCK_JUMP);
                    if jumped {
                        (*since_us, *offset_us) = (micros(reading.boot), wall);
                    }
                    let waited = micros(reading.boot).saturating_sub(*since_us);
                    let is_over = waited >= micros(probation) && on_probation().contains(&ahead);
                    (0..=agreement).contains(&ahead) || is_over
                }
            };
        if may_follow {
            let was_followed = self.standing == Standing::Followed;
            *self = Self { offset_us: wall, standing: Standing::Followed };
            let is_step = !was_followed || ahead.abs() > agreement;
            return is_step.then_some(Event::Followed { by_us: ahead });
        }
        if self.standing == Standing::Followed {
            self.standing = Standing::Stepped;
            return Some(Event::Refused);
        }
        None
    }

    /// How long the wall clock must still keep from jumping until it is followed; none if waiting does not help.
    pub(super) fn probation_left(&self, reading: Reading, probation: Duration) -> Option<u64> {
        let Standing::Restarted { since_us, .. } = self.standing else { return None };
        let ahead = offset(reading).saturating_sub(self.offset_us);
        let waited = Duration::from_micros(micros(reading.boot).saturating_sub(since_us));
        on_probation().contains(&ahead).then(|| probation.saturating_sub(waited).as_secs())
    }

    /// Follows the wall clock because an operator says that it is right. Returns how far trusted time moved, in microseconds.
    pub(super) fn trust(&mut self, reading: Reading) -> i64 {
        let (wall, before) = (offset(reading), self.offset_us);
        *self = Self { offset_us: wall, standing: Standing::Followed };
        wall.saturating_sub(before)
    }
}

/// Wall clock less boot clock, in microseconds.
fn offset(reading: Reading) -> i64 {
    signed(reading.wall.as_micros()).saturating_sub(signed(micros(reading.boot)))
}

/// How far ahead of trusted time a wall clock is that is followed after a probation, in microseconds.
fn on_probation() -> RangeInclusive<i64> {
    let behind = -signed(micros(limits::CLOCK_AGREEMENT));
    behind..=signed(micros(limits::CLOCK_PROBATION_AHEAD_MAX))
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

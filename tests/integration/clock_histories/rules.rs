//! What is known of records and phones by true time, and what can be wrong with them.

use std::{fmt, time::Duration};

use dispatchd::clock::Timestamp;

use crate::harness::Device;

/// Differences of clocks are cut to seconds.
const ROUNDING: i64 = 2;

/// What time it is, and what the server takes it for. All differences of clocks are in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// The time that it is.
    pub(super) truth: Timestamp,
    /// How long the server could be reached. A span up to an hour in which it could not counts as well: it is a small
    /// step of the clock.
    pub(super) awake: Duration,
    /// Trusted time less true time.
    pub(super) trusted_ahead: i64,
    /// Whether trusted time follows the wall clock.
    pub(super) is_followed: bool,
    /// How often the machine was rebooted.
    pub(super) boots: u32,
    /// Whether the kernel or an operator says that the wall clock is right.
    pub(super) is_confirmed: bool,
}

/// What histories met.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) answered: usize,
    pub(super) refused: usize,
    pub(super) records_destroyed: usize,
    pub(super) devices_removed: usize,
    pub(super) leases_over: usize,
}

impl Figures {
    pub(super) const fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.records_destroyed += other.records_destroyed;
        self.devices_removed += other.devices_removed;
        self.leases_over += other.leases_over;
    }

    /// Whether each of the rules had something to decide.
    pub(super) fn is_full(&self) -> bool {
        let all = [
            self.answered,
            self.refused,
            self.records_destroyed,
            self.devices_removed,
            self.leases_over,
        ];
        all.iter().all(|figure| *figure > 0)
    }
}

/// What a clock must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The server does not start.
    Start,
    /// The server answers otherwise than it must.
    Answer,
    /// Trusted time moves further than its rules allow.
    Followed,
    /// The key of a record is destroyed too early.
    DestroyedEarly,
    /// A record can be read, or decrypted, after the retention.
    ReadableTooLong,
    /// A record of an answer is not found.
    RecordLost,
    /// A device is removed too early.
    DeviceLost,
    /// A device that checked in within its lease is answered with `sms`.
    Sms,
    /// A device that signed out is answered with `imessage`.
    Imessage,
    /// In the end the log or the audit log is not sound, or not everything expired is forgotten.
    Unsound,
}

/// A fault with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    pub(super) fault: Fault,
    pub(super) what: String,
}

impl Violation {
    pub(super) const fn new(fault: Fault, what: String) -> Self {
        Self { fault, what }
    }
}

/// When something was stamped, and what became of trusted time since then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    at: Timestamp,
    /// Trusted time less true time at the stamp.
    pub(super) ahead: i64,
    /// The boot in which trusted time first followed the wall clock, then or since.
    followed_in: Option<u32>,
    /// Whether the clock was confirmed since then: the stamp is right from then on.
    is_confirmed: bool,
    /// By how much the age by trusted time exceeded the true age, at most.
    older_by: i64,
    /// By how much small steps moved trusted time forward since then. They count as time.
    small_steps: i64,
    /// By how much the age by trusted time may lag for good. Small steps are no correction. If time was lost
    /// before the stamp was confirmed, nothing can know whether it was lost before or after the stamp.
    pub(super) younger_by: i64,
}

impl Stamp {
    const fn new(now: &Now) -> Self {
        let (at, ahead, is_confirmed) = (now.truth, now.trusted_ahead, now.is_confirmed);
        let followed_in = if now.is_followed { Some(now.boots) } else { None };
        let (older_by, small_steps, younger_by) = (0, 0, 0);
        Self { at, ahead, followed_in, is_confirmed, older_by, small_steps, younger_by }
    }

    /// Trusted time jumps, and no time service says so: an operator does, or a probation ended. What was stamped before the last
    /// reboot, while nothing was noticed, is then taken to be as old as it looks.
    pub(super) fn jump_without_time_service(&mut self, now: &Now) {
        if self.followed_in.is_some_and(|boot| boot < now.boots) {
            self.older_by = self.older_by.max(now.trusted_ahead - self.ahead);
        }
    }

    /// Trusted time moved by a small step, or by 0.
    fn see(&mut self, now: &Now, small_step: i64) {
        self.is_confirmed |= now.is_confirmed;
        if now.is_followed && self.followed_in.is_none() {
            self.followed_in = Some(now.boots);
        }
        self.older_by = self.older_by.max(now.trusted_ahead - self.wrong_by());
        self.small_steps += small_step.max(0);
        self.younger_by -= small_step.min(0);
    }

    /// By how much sooner it may end, by the rules of trusted time.
    pub(super) fn older_by(&self) -> i64 {
        self.older_by.max(self.small_steps) + ROUNDING
    }

    const fn wrong_by(&self) -> i64 {
        if self.is_confirmed || self.ahead < 0 { 0 } else { self.ahead }
    }

    const fn lose(&mut self, lost: i64) {
        self.younger_by += if self.is_confirmed { 0 } else { lost };
    }

    /// Whether the server can know the true age, if this is how far it takes the time to be ahead.
    pub(super) fn is_known(&self, now: &Now, ahead: i64) -> bool {
        now.is_confirmed || ahead >= self.wrong_by()
    }

    /// The true age, in seconds.
    pub(super) fn age(&self, now: &Now) -> i64 {
        seconds_between(now.truth, self.at)
    }
}

/// A lookup that was answered.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: String,
    pub(super) stamp: Stamp,
}

impl Asked {
    pub(super) fn new(request: &str, now: &Now) -> Self {
        Self { request: request.to_owned(), stamp: Stamp::new(now) }
    }

    pub(super) fn see(&mut self, now: &Now, small_step: i64) {
        self.stamp.see(now, small_step);
    }

    /// Trusted time stood still.
    pub(super) const fn lose(&mut self, lost: i64) {
        self.stamp.lose(lost);
    }
}

/// A phone with a number.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    pub(super) device: Device,
    pub(super) handle: String,
    /// It signed out, or was removed rightly.
    pub(super) is_gone: bool,
    /// The last check-in.
    pub(super) stamp: Stamp,
    /// How long the server could be reached until then.
    awake: Duration,
}

impl Phone {
    pub(super) const fn new(device: Device, handle: String, now: &Now) -> Self {
        let (stamp, awake) = (Stamp::new(now), now.awake);
        Self { device, handle, is_gone: false, stamp, awake }
    }

    /// For how many seconds it did not check in, although it could have. Small steps of the clock count.
    pub(super) fn silent(&self, now: &Now) -> i64 {
        seconds(now.awake - self.awake) + self.stamp.small_steps + ROUNDING
    }

    pub(super) fn see(&mut self, now: &Now, small_step: i64) {
        self.stamp.see(now, small_step);
    }
}

/// Seconds, printed in days.
pub(super) struct Span(pub(super) i64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}d", self.0 as f64 / 86_400.0)
    }
}

pub(super) fn seconds_between(later: Timestamp, earlier: Timestamp) -> i64 {
    seconds(later.since(earlier)) - seconds(earlier.since(later))
}

pub(super) fn seconds(span: Duration) -> i64 {
    span.as_secs().cast_signed()
}

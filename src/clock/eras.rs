//! Where trusted time jumped, and what that says of the instants that were stamped before.
//!
//! An *era* is a span in which trusted time did not jump. Suppose that a machine starts with a clock 20 days behind, and a time
//! service corrects it after an hour. Then everything that was stamped in that hour looks 20 days older than it is. So the
//! era of that hour has a shift of 20 days, which the log adds to whatever it stamped in that era.
//!
//! Suppose instead that the machine was off for 20 days. Then what was stamped before is 20 days old. So an era begins
//! wherever trusted time may become wrong: at a reboot, and when no time service confirms the clock any more. The jump that ends
//! such an era is its shift. What it says of the eras before depends on who confirms the new time:
//!
//! - A time service corrects all eras since the last confirmation: their clock may never have been right.
//! - An operator confirms that the machine was off, so that the eras before stay as they are. If trusted time was ahead, nothing
//!   of that kind explains it, and the operator corrects them as well.

use serde::{Deserialize, Serialize};

use super::timestamp::{Era, Hour, Timestamp};
use crate::limits;

/// The number of past eras, and of jumps, that are kept. The oldest go first.
const KEPT_MAX: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Eras {
    pub(super) current: Era,
    /// Whether a time service or an operator has confirmed the time of the current era.
    is_confirmed: bool,
    /// Eras whose time was wrong or is not confirmed, oldest first.
    past: Vec<PastEra>,
    /// Oldest first.
    jumps: Vec<Jump>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PastEra {
    era: Era,
    is_confirmed: bool,
    /// Real time less the stamped time, in microseconds.
    shift_us: i64,
}

/// Why trusted time follows the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It agrees, or it did not jump for the time of a probation.
    Plausible,
    /// An operator says that it is right.
    Operator,
    /// The kernel reports that a time service keeps it right.
    TimeService,
    /// The configuration says that it is always right: a jump is time that passed.
    Configured,
}

/// Trusted time went from one instant to another at once, or the server was off in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Jump {
    /// The era that it ended, or in which the server was off.
    era: Era,
    from: Timestamp,
    to: Timestamp,
}

impl Jump {
    fn is_back(&self) -> bool {
        self.to < self.from
    }

    fn by_us(self) -> i64 {
        signed(self.to.as_micros()).saturating_sub(signed(self.from.as_micros()))
    }
}

impl Eras {
    /// Continues in the era of an hour whose time was right.
    pub(super) fn of(hour: Hour) -> Self {
        Self { current: hour.era(), is_confirmed: true, ..Self::default() }
    }

    /// The time of the current era is right.
    pub(super) fn confirm(&mut self) {
        self.is_confirmed = true;
        self.unconfirmed().for_each(|past| past.is_confirmed = true);
    }

    /// From here on trusted time may be wrong. What is stamped from here on can be corrected without what was stamped before.
    pub(super) fn begin(&mut self) {
        self.end(0);
    }

    /// No time service confirms the time any more. Only what was stamped until here is known to be right: both clocks of a guest may
    /// stand still, which nothing shows.
    pub(super) fn doubt(&mut self) {
        if self.is_confirmed {
            self.begin();
        }
    }

    /// Trusted time jumps.
    pub(super) fn jump(&mut self, from: Timestamp, to: Timestamp, evidence: Evidence) {
        let (era, by_us) = (self.current, signed(to.as_micros()) - signed(from.as_micros()));
        // Neither a pause nor time without power explains a clock that was ahead.
        let is_ahead = evidence == Evidence::Operator && by_us < 0;
        if evidence == Evidence::TimeService || is_ahead {
            self.unconfirmed().for_each(|past| past.shift_us = past.shift_us.saturating_add(by_us));
        }
        let shift_us = if evidence == Evidence::Configured { 0 } else { by_us };
        self.end(shift_us);
        match evidence {
            Evidence::Plausible => {}
            // The word holds for what was stamped until now.
            Evidence::Operator => self.unconfirmed().for_each(|past| past.is_confirmed = true),
            Evidence::TimeService | Evidence::Configured => self.confirm(),
        }
        if evidence != Evidence::Configured {
            self.leave_out(Jump { era, from, to });
        }
    }

    /// The server was off between two instants, so [`Self::rebase`] leaves that time out.
    pub(super) fn skip(&mut self, from: Timestamp, to: Timestamp) {
        self.leave_out(Jump { era: self.current, from, to });
    }

    fn leave_out(&mut self, new: Jump) {
        // After a jump back the instants after its end come again. Earlier jumps ahead must not apply to those.
        self.jumps.retain(|jump| jump.is_back() || jump.from < new.to);
        for jump in self.jumps.iter_mut().filter(|jump| !jump.is_back()) {
            jump.to = jump.to.min(new.to);
        }
        push(&mut self.jumps, new);
    }

    fn end(&mut self, shift_us: i64) {
        let (era, next) = (self.current, self.current.next());
        if era == next {
            tracing::error!(
                "trusted time was in doubt too often: corrections make records look older or younger from now on"
            );
        }
        if !self.is_confirmed && era != next {
            // The others say nothing, and must not displace one that does.
            self.past.retain(|past| past.shift_us != 0 || !past.is_confirmed);
            push(&mut self.past, PastEra { era, is_confirmed: false, shift_us });
        }
        (self.current, self.is_confirmed) = (next, false);
    }

    /// Past eras since the last one that was confirmed.
    fn unconfirmed(&mut self) -> impl Iterator<Item = &mut PastEra> {
        self.past.iter_mut().rev().take_while(|past| !past.is_confirmed)
    }

    /// Continues in the era after that of `hour`, if that is later than the current one: the process that wrote the hour did not
    /// save its last jump.
    pub(super) fn pass(&mut self, hour: Hour) {
        if hour.era() > self.current {
            // The jump will be made again, and must correct what the saved era stamped.
            self.begin();
            self.current = hour.era().next();
        }
    }

    /// What to add to an instant that was stamped in an era, in microseconds.
    pub(super) fn shift_us(&self, era: Era) -> i64 {
        self.past.iter().find(|past| past.era == era).map_or(0, |past| past.shift_us)
    }

    /// The latest trusted time from which a jump back went, in an era or later.
    pub(super) fn went_back_from(&self, era: Era) -> Option<Timestamp> {
        let back = self.jumps.iter().filter(|jump| jump.is_back() && jump.era >= era);
        back.map(|jump| jump.from).max()
    }

    /// The last jump's end, from which on [`Self::rebase`] changes nothing but the future.
    pub(super) fn last_jump_to(&self) -> Timestamp {
        self.jumps.last().map_or(Timestamp::EPOCH, |jump| jump.to)
    }

    /// See [`super::Clock::rebase`].
    pub(super) fn rebase(&self, stamp: Timestamp, now: Timestamp) -> Timestamp {
        let is_future = now.plus(limits::CLOCK_AGREEMENT) < stamp;
        // Stamped while trusted time was ahead. Its age is not known, so it is counted from the correction.
        let back = self.jumps.iter().rfind(|jump| is_future && jump.is_back());
        let stamp = back.map_or(stamp, |back| back.to);
        // Instants between the two ends of a jump ahead do not exist, so what is before its end was stamped before the jump.
        let ahead = self.jumps.iter().filter(|jump| !jump.is_back());
        ahead.fold(
            stamp,
            |stamp, jump| if stamp < jump.to { stamp.moved(jump.by_us()) } else { stamp },
        )
    }
}

fn push<T>(kept: &mut Vec<T>, new: T) {
    if kept.len() >= KEPT_MAX {
        kept.remove(0);
    }
    kept.push(new);
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

//! [`Rate`]: units that are regained evenly.

use std::time::Duration;

use super::limit::Left;

/// Allows `burst` units at once, and regains one after each period: the generic cell rate algorithm.
///
/// A bucket of such units is one number: the microsecond of the boot clock at which it is full again. Zero is a full bucket.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    burst: u32,
    period_us: u64,
    span: Duration,
}

impl Rate {
    /// `burst` units, all regained over `span`.
    pub(super) fn new(burst: u32, span: Duration) -> Self {
        let burst = burst.max(1);
        Self { burst, period_us: (micros(span) / u64::from(burst)).max(1), span }
    }

    /// The most units that can be left.
    pub(super) const fn burst(self) -> u32 {
        self.burst
    }

    /// The span over which an empty bucket is full again.
    pub(super) const fn allowance_us(self) -> u64 {
        self.period_us.saturating_mul(self.burst as u64)
    }

    /// The same as a span.
    pub(super) const fn allowance(self) -> Duration {
        Duration::from_micros(self.allowance_us())
    }

    /// The most that a bucket is overdrawn by what other nodes say: a node that lies must not empty it for ever.
    pub(super) fn debt_max(self) -> Duration {
        self.allowance().saturating_mul(2)
    }

    /// How many whole units are used of the bucket that is full at `full_at_us`. More than the burst if it is overdrawn.
    pub(super) fn used(self, full_at_us: u64, now_us: u64) -> u32 {
        let used = full_at_us.saturating_sub(now_us) / self.period_us;
        u32::try_from(used).unwrap_or(u32::MAX)
    }

    /// By how many units the bucket that is full at `full_at_us` is overdrawn, since other nodes charged it, too.
    pub(super) fn overdrawn(self, full_at_us: u64, now_us: u64) -> u32 {
        let used_us = full_at_us.saturating_sub(now_us);
        let excess_us = used_us.saturating_sub(self.allowance_us());
        if excess_us == 0 {
            return 0;
        }
        u32::try_from(excess_us.div_ceil(self.period_us)).unwrap_or(u32::MAX)
    }

    /// What is left of the bucket that is full at `full_at_us`.
    pub(super) fn left(self, full_at_us: u64, now_us: u64) -> Left {
        let used_us = full_at_us.saturating_sub(now_us);
        let left = self.allowance_us().saturating_sub(used_us) / self.period_us;
        Left {
            limit: self.burst,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset: Duration::from_micros(used_us),
            window: self.span,
        }
    }

    /// The bucket without `units` more. One that has fewer is overdrawn then.
    pub(super) fn without(self, full_at_us: u64, units: u32, now_us: u64) -> u64 {
        let full_at_us = full_at_us.max(now_us);
        let without = full_at_us.saturating_add(self.period_us.saturating_mul(units.into()));
        without.min(now_us.saturating_add(micros(self.debt_max())))
    }

    /// The bucket with `units` put back.
    pub(super) fn with(self, full_at_us: u64, units: u32) -> u64 {
        full_at_us.saturating_sub(self.period_us.saturating_mul(units.into()))
    }
}

/// A span in microseconds.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

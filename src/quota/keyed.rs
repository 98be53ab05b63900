//! [`Keyed`]: one rate for many keys.

use std::{
    hash::Hash,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use dashmap::{DashMap, Entry};
use foldhash::quality::RandomState;

use crate::limits;

/// How long a new key is refused when the table is full.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Allows each key `burst` units at once, which it regains evenly over a span.
///
/// It is the generic cell rate algorithm: a key has one instant of the boot clock, at which its whole allowance is available
/// again. From then on the key has no effect and can be evicted. The `governor` crate was rejected: it has no bound on the
/// number of keys, no refund, and its clock cannot be moved by tests.
pub(super) struct Keyed<K> {
    burst: u32,
    /// The span after which one unit is regained.
    period: Duration,
    full_at: DashMap<K, Duration, RandomState>,
    /// The number of keys, which the map counts by locking all of its parts.
    keys: AtomicUsize,
}

impl<K: Copy + Hash + Eq> Keyed<K> {
    /// `burst` units at once, regained over `span`.
    pub(super) fn new(burst: u32, span: Duration) -> Self {
        let burst = burst.max(1);
        let period = (span / burst).max(Duration::from_nanos(1));
        Self { burst, period, full_at: DashMap::default(), keys: AtomicUsize::new(0) }
    }

    /// Charges `units` to `key`, unless more than `share` of its allowance (from 0 to 1) would then be used. Returns the share
    /// that is used now, or the span after which the same charge can succeed if it fits into the allowance at all.
    pub(super) fn charge(
        &self,
        key: K,
        units: u32,
        share: f64,
        now: Duration,
    ) -> Result<f64, Duration> {
        if self.keys.load(Ordering::Relaxed) >= limits::QUOTA_KEYS_MAX {
            self.evict(now);
        }
        let entry = self.full_at.entry(key);
        let known = match &entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) if self.keys.load(Ordering::Relaxed) >= limits::QUOTA_KEYS_MAX => {
                return Err(FULL_PAUSE);
            }
            Entry::Vacant(_) => now,
        };
        let used = known.saturating_sub(now) + self.period * units;
        let allowance = self.period * self.burst;
        let excess = used.saturating_sub(allowance.mul_f64(share));
        if !excess.is_zero() {
            return Err(excess);
        }
        if matches!(entry, Entry::Vacant(_)) {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
        entry.insert(now + used);
        Ok(used.div_duration_f64(allowance))
    }

    /// Takes a charge back.
    pub(super) fn refund(&self, key: K, units: u32) {
        if let Some(mut full_at) = self.full_at.get_mut(&key) {
            *full_at = full_at.saturating_sub(self.period * units);
        }
    }

    /// Drops the keys whose whole allowance is available.
    pub(super) fn evict(&self, now: Duration) {
        self.full_at.retain(|_, full_at| now < *full_at);
        self.keys.store(self.full_at.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_regained_evenly_and_a_refused_charge_costs_nothing() {
        let limit = Keyed::new(10, 20 * SECOND);
        assert_eq!(limit.charge(1, 9, 1.0, SECOND), Ok(0.9));
        assert_eq!(limit.charge(1, 2, 1.0, SECOND), Err(2 * SECOND));
        assert_eq!(limit.charge(1, 1, 1.0, SECOND), Ok(1.0));
        assert_eq!(limit.charge(2, 10, 1.0, SECOND), Ok(1.0));
        assert_eq!(limit.charge(1, 2, 1.0, 4 * SECOND), Err(SECOND));
        assert_eq!(limit.charge(1, 2, 1.0, 5 * SECOND), Ok(1.0));
        assert_eq!(limit.charge(1, 10, 1.0, 25 * SECOND), Ok(1.0));
    }

    #[test]
    fn a_charge_keeps_within_its_share_and_can_be_refunded() {
        let limit = Keyed::new(10, 10 * SECOND);
        assert_eq!(limit.charge((), 6, 0.5, SECOND), Err(SECOND));
        assert_eq!(limit.charge((), 5, 0.5, SECOND), Ok(0.5));
        assert_eq!(limit.charge((), 1, 0.5, SECOND), Err(SECOND));
        limit.refund((), 2);
        assert_eq!(limit.charge((), 2, 0.5, SECOND), Ok(0.5));
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_only_keys_without_effect_are_evicted() {
        let limit = Keyed::new(1, SECOND);
        for key in 0..limits::QUOTA_KEYS_MAX {
            limit.charge(key, 1, 1.0, Duration::ZERO).unwrap();
        }
        assert_eq!(limit.charge(usize::MAX, 1, 1.0, Duration::ZERO), Err(FULL_PAUSE));
        assert_eq!(limit.charge(0, 1, 1.0, Duration::ZERO), Err(SECOND));
        assert_eq!(limit.full_at.len(), limits::QUOTA_KEYS_MAX);
        assert_eq!(limit.charge(usize::MAX, 1, 1.0, SECOND), Ok(1.0));
        assert_eq!(limit.full_at.len(), 1);
    }
}

//! [`Keyed`]: one rate for many keys.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use dashmap::{DashMap, Entry};
use foldhash::quality::RandomState;

use super::rate::{Rate, micros};
use crate::limits;

/// How long a new key is refused when the table is full, and until keys are evicted again: that reads all of them.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// What an allowance belongs to: the bits of an account's id, or a network by [`network_key`]. An allowance of all has the key 0.
pub(super) type Key = u64;

/// The network of an address as a number: an IPv4 address, or the first 48 bits of an IPv6 address.
pub(super) fn network_key(ip: IpAddr) -> Key {
    match limits::network_of(ip) {
        IpAddr::V4(v4) => u64::from(v4.to_bits()) | 1 << 63,
        IpAddr::V6(v6) => (v6.to_bits() >> 80) as u64,
    }
}

/// Allows each key the units of a [`Rate`].
///
/// From the instant on at which a key's bucket is full again, the key has no effect and can be evicted. The `governor` crate was
/// rejected: it has no bound on the number of keys, no refund, and its clock cannot be moved by tests.
pub(super) struct Keyed {
    rate: Rate,
    /// The microsecond of the boot clock at which the key's bucket is full again.
    full_at_us: DashMap<Key, u64, RandomState>,
    /// The number of keys, which the map counts by locking all of its parts.
    keys: AtomicUsize,
    /// The microsecond of the boot clock from which a full table evicts again.
    evict_at_us: AtomicU64,
}

impl Keyed {
    /// `burst` units at once, regained over `span`.
    pub(super) fn new(burst: u32, span: Duration) -> Self {
        Self::of(Rate::new(burst, span))
    }

    /// The units of a rate.
    pub(super) fn of(rate: Rate) -> Self {
        Self {
            rate,
            full_at_us: DashMap::default(),
            keys: AtomicUsize::new(0),
            evict_at_us: AtomicU64::new(0),
        }
    }

    /// Charges `units` to `key`, unless more than `share` of its allowance (from 0 to 1) would then be used. Returns the share
    /// that is used now, or the span after which the same charge can succeed if it fits into the allowance at all.
    pub(super) fn charge(
        &self,
        key: Key,
        units: u32,
        share: f64,
        now: Duration,
    ) -> Result<f64, Duration> {
        let now_us = micros(now);
        let Some(entry) = self.entry(key, now) else { return Err(FULL_PAUSE) };
        let known_us = match &entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(_) => 0,
        };
        let full_at_us = self.rate.without(known_us, units, now_us);
        let (used_us, allowance_us) = (full_at_us - now_us, self.rate.allowance_us() as f64);
        let excess_us = used_us.saturating_sub((allowance_us * share) as u64);
        if excess_us > 0 {
            return Err(Duration::from_micros(excess_us));
        }
        if matches!(entry, Entry::Vacant(_)) {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
        entry.insert(full_at_us);
        Ok(used_us as f64 / allowance_us)
    }

    /// The largest charge that can ever succeed.
    pub(super) const fn most(&self) -> u32 {
        self.rate.burst()
    }

    /// Takes a charge back.
    pub(super) fn refund(&self, key: Key, units: u32) {
        if let Some(mut full_at_us) = self.full_at_us.get_mut(&key) {
            *full_at_us = self.rate.with(*full_at_us, units);
        }
    }

    /// The largest charge to `key` that keeps within `share` of its allowance.
    pub(super) fn left(&self, key: Key, share: f64, now: Duration) -> u32 {
        let used = self.most() - self.rate.left(self.full_at_us(key), micros(now)).remaining;
        ((f64::from(self.most()) * share) as u32).saturating_sub(used)
    }

    /// The span after which `key` has its whole allowance again.
    pub(super) fn debt(&self, key: Key, now: Duration) -> Duration {
        Duration::from_micros(self.full_at_us(key).saturating_sub(micros(now)))
    }

    /// Charges `units` that another node has granted, also beyond the allowance. A full table refuses all that is not in it, so what does not
    /// fit is charged nowhere.
    pub(super) fn debit(&self, key: Key, units: u32, now: Duration) {
        self.put(key, now, |full_at_us| self.rate.without(full_at_us, units, micros(now)));
    }

    /// Lets `key` have its whole allowance after `debt` at the earliest, unless the table is full.
    pub(super) fn raise(&self, key: Key, debt: Duration, now: Duration) {
        let debt = debt.min(self.rate.debt_max());
        self.put(key, now, |full_at_us| full_at_us.max(micros(now + debt)));
    }

    fn put(&self, key: Key, now: Duration, change: impl FnOnce(u64) -> u64) {
        match self.entry(key, now) {
            Some(Entry::Occupied(mut known)) => {
                let full_at_us = change(*known.get());
                known.insert(full_at_us);
            }
            Some(Entry::Vacant(new)) => {
                self.keys.fetch_add(1, Ordering::Relaxed);
                new.insert(change(0));
            }
            None => {}
        }
    }

    /// The place of a key. None if the table is full and does not have it. A full table evicts first, once in a while.
    fn entry(&self, key: Key, now: Duration) -> Option<Entry<'_, Key, u64>> {
        let is_full = || self.keys.load(Ordering::Relaxed) >= limits::QUOTA_KEYS_MAX;
        if is_full() && micros(now) >= self.evict_at_us.load(Ordering::Relaxed) {
            self.evict_at_us.store(micros(now + FULL_PAUSE), Ordering::Relaxed);
            self.evict(now);
        }
        let entry = self.full_at_us.entry(key);
        (matches!(entry, Entry::Occupied(_)) || !is_full()).then_some(entry)
    }

    /// How many whole units of `key` are used.
    pub(super) fn used(&self, key: Key, now: Duration) -> u32 {
        self.rate.used(self.full_at_us(key), micros(now))
    }

    /// The span after which `key` is within its allowance again, if other nodes have charged more than that.
    pub(super) fn excess(&self, key: Key, now: Duration) -> Option<Duration> {
        let excess = self.debt(key, now).saturating_sub(self.rate.allowance());
        (!excess.is_zero()).then_some(excess)
    }

    /// Whether more than one in `part` of the allowance is used by a `debt`.
    pub(super) fn is_over_part(&self, debt: Duration, part: u32) -> bool {
        debt.saturating_mul(part) > self.rate.allowance()
    }

    /// Lets `key` have its whole allowance after `debt`, as in an earlier run of the service.
    pub(super) fn restore(&self, key: Key, debt: Duration, now: Duration) {
        if debt.is_zero() || self.keys.load(Ordering::Relaxed) >= limits::QUOTA_KEYS_MAX {
            return;
        }
        let debt_us = micros(debt).min(self.rate.allowance_us());
        if self.full_at_us.insert(key, micros(now) + debt_us).is_none() {
            self.keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Calls `each` with every key that does not have its whole allowance, and its debt.
    pub(super) fn for_each_debt(&self, now: Duration, mut each: impl FnMut(Key, Duration)) {
        for entry in &self.full_at_us {
            let debt_us = entry.value().saturating_sub(micros(now));
            if debt_us > 0 {
                each(*entry.key(), Duration::from_micros(debt_us));
            }
        }
    }

    /// Drops the keys whose whole allowance is available.
    pub(super) fn evict(&self, now: Duration) {
        let now_us = micros(now);
        self.full_at_us.retain(|_, full_at_us| now_us < *full_at_us);
        self.keys.store(self.full_at_us.len(), Ordering::Relaxed);
    }

    fn full_at_us(&self, key: Key) -> u64 {
        self.full_at_us.get(&key).map_or(0, |full_at_us| *full_at_us)
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
        assert_eq!((limit.left(0, 0.5, SECOND), limit.left(0, 1.0, SECOND)), (5, 10));
        assert_eq!(limit.charge(0, 6, 0.5, SECOND), Err(SECOND));
        assert_eq!(limit.charge(0, 5, 0.5, SECOND), Ok(0.5));
        assert_eq!((limit.left(0, 0.5, SECOND), limit.left(0, 1.0, SECOND)), (0, 5));
        assert_eq!(limit.charge(0, 1, 0.5, SECOND), Err(SECOND));
        limit.refund(0, 2);
        assert_eq!(limit.charge(0, 2, 0.5, SECOND), Ok(0.5));
    }

    #[test]
    fn what_other_nodes_granted_can_exceed_the_allowance_and_is_paid_back() {
        let limit = Keyed::new(10, 10 * SECOND);
        assert_eq!(limit.charge(1, 6, 1.0, SECOND), Ok(0.6));
        limit.debit(1, 4, SECOND);
        assert_eq!((limit.excess(1, SECOND), limit.used(1, SECOND)), (None, 10));
        limit.debit(1, 3, SECOND);
        assert_eq!((limit.excess(1, SECOND), limit.used(1, SECOND)), (Some(3 * SECOND), 13));
        assert_eq!(limit.charge(1, 1, 1.0, 4 * SECOND), Err(SECOND));
        assert_eq!(limit.charge(1, 1, 1.0, 5 * SECOND), Ok(1.0));
        // Only a greater debt counts.
        [1, 2].into_iter().for_each(|key| limit.raise(key, 9 * SECOND, 5 * SECOND));
        assert_eq!((limit.used(1, 5 * SECOND), limit.used(2, 5 * SECOND)), (10, 9));
        assert!(limit.is_over_part(2 * SECOND, 10) && !limit.is_over_part(SECOND, 10));
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_only_keys_without_effect_are_evicted() {
        let limit = Keyed::new(1, SECOND);
        for key in 0..limits::QUOTA_KEYS_MAX as Key {
            limit.charge(key, 1, 1.0, Duration::ZERO).unwrap();
        }
        assert_eq!(limit.charge(Key::MAX, 1, 1.0, Duration::ZERO), Err(FULL_PAUSE));
        assert_eq!(limit.charge(0, 1, 1.0, Duration::ZERO), Err(SECOND));
        limit.debit(Key::MAX, 1, Duration::ZERO);
        limit.raise(Key::MAX, SECOND, Duration::ZERO);
        limit.debit(0, 1, Duration::ZERO);
        assert_eq!((limit.used(Key::MAX, Duration::ZERO), limit.used(0, Duration::ZERO)), (0, 2));
        assert_eq!(limit.full_at_us.len(), limits::QUOTA_KEYS_MAX);
        limit.refund(0, 1);
        // A full table looks for keys without effect once a second.
        assert_eq!(limit.charge(Key::MAX, 1, 1.0, SECOND / 2), Err(FULL_PAUSE));
        assert_eq!(limit.charge(Key::MAX, 1, 1.0, SECOND), Ok(1.0));
        assert_eq!(limit.full_at_us.len(), 1);
    }

    #[test]
    fn what_other_nodes_granted_evicts_keys_without_effect_too() {
        let limit = Keyed::new(1, SECOND);
        for key in 0..limits::QUOTA_KEYS_MAX as Key {
            limit.charge(key, 1, 1.0, Duration::ZERO).unwrap();
        }
        limit.debit(Key::MAX, 1, SECOND);
        assert_eq!((limit.used(Key::MAX, SECOND), limit.full_at_us.len()), (1, 1));
    }
}

//! The memory of asked handles: which account asked for whom within 30 days, in a fixed number of bytes.
//!
//! It forgets in two ways, and both make a repeat cost again: a shard that is full evicts the older of 32 entries, and every hour
//! [`AskedHandles::sweep`] clears what is too old. In a full shard an entry is 22 bits of its fingerprint and its hour, so that one new
//! handle in about 150,000 looks like a repeat and is free.

mod shard;

use std::{sync::Mutex, time::Duration};

use super::fingerprint::Fingerprint;
use crate::{clock::Timestamp, lock::lock};
use shard::Shard;
pub(super) use shard::{AskedFigures, HourMark};

/// Enough that serving threads seldom meet, and that clearing one takes under a millisecond.
const SHARDS: usize = 256;
const HOUR: u64 = 3600;

/// More than the 720 hours of the longest retention, so that no mark comes again while an entry has it.
const HOURS: u64 = 1_023;

pub(super) struct AskedHandles {
    shards: Vec<Mutex<Shard>>,
    /// How long an entry is remembered, in hours.
    kept_hours: u16,
}

impl AskedHandles {
    /// Takes at most `bytes`, and remembers for `kept`.
    pub(super) fn new(bytes: u64, kept: Duration) -> Self {
        let lines = bytes / SHARDS as u64 / shard::LINE_BYTES as u64;
        let lines = usize::try_from(lines).unwrap_or(usize::MAX).max(1);
        let shard = || Mutex::new(Shard::new(lines));
        let kept_hours = u16::try_from(kept.as_secs() / HOUR).unwrap_or(u16::MAX).min(720);
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect(), kept_hours }
    }

    /// Whether it was asked within the time that entries are kept.
    pub(super) fn holds(&self, of: Fingerprint, now: HourMark) -> bool {
        let is_alive = |mark| self.is_alive(mark, now);
        lock(self.shard(of)).holds(of, is_alive)
    }

    /// Remembers that it was asked in the hour `mark`. False, and nothing changes, if it is remembered already.
    pub(super) fn insert(&self, of: Fingerprint, mark: HourMark, now: HourMark) -> bool {
        let mut shard = lock(self.shard(of));
        let is_new = !shard.holds(of, |mark| self.is_alive(mark, now));
        if is_new {
            shard.insert(of, mark, |mark| age(mark, now), self.kept_hours);
        }
        is_new
    }

    /// Forgets it.
    pub(super) fn remove(&self, of: Fingerprint) {
        lock(self.shard(of)).remove(of);
    }

    /// Forgets what is too old. Blocks one shard at a time.
    pub(super) fn sweep(&self, now: HourMark) {
        for shard in &self.shards {
            lock(shard).retain(|mark| self.is_alive(mark, now));
        }
    }

    pub(super) fn figures(&self) -> AskedFigures {
        self.shards.iter().fold(AskedFigures::default(), |sum, shard| {
            let of = lock(shard).figures();
            AskedFigures {
                entries: sum.entries + of.entries,
                bytes: sum.bytes + of.bytes,
                evicted: sum.evicted + of.evicted,
            }
        })
    }

    /// Whether an entry of that hour is still remembered.
    pub(super) fn is_alive(&self, mark: HourMark, now: HourMark) -> bool {
        age(mark, now) < self.kept_hours
    }

    fn shard(&self, of: Fingerprint) -> &Mutex<Shard> {
        // The low byte; the others say the place within the shard.
        &self.shards[usize::from(of.to_le_bytes()[0])]
    }
}

/// The mark of the hour that holds an instant.
pub(super) fn hour_mark(at: Timestamp) -> HourMark {
    (at.as_secs() / HOUR % HOURS) as HourMark + 1
}

/// How many hours ago a mark was. Trusted time may go back by an hour without a correction, so a mark up to two hours in the
/// future is of the present hour; a later one is old.
const fn age(mark: HourMark, now: HourMark) -> u16 {
    const AHEAD_FROM: u16 = HOURS as u16 - 2;
    match (now + HOURS as u16 - mark) % HOURS as u16 {
        AHEAD_FROM.. => 0,
        age => age,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    const DAY30: Duration = Duration::from_secs(30 * 24 * HOUR);

    fn mark(hour: u64) -> HourMark {
        hour_mark(Timestamp::from_secs(hour * HOUR))
    }

    /// A well mixed number.
    fn fingerprint(n: u64) -> Fingerprint {
        crate::ids::RequestId::from_count(n).bits()
    }

    proptest! {
        /// While there is space, it is a map from fingerprint to hour, though the shards change their form meanwhile.
        #[test]
        fn it_remembers_for_thirty_days(
            start in 0..10_000_000_u64,
            steps in prop::collection::vec((0..40_u64, 0..400_u64, any::<bool>()), 1..200),
        ) {
            let asked = AskedHandles::new(64 * 1024, DAY30);
            let (mut model, mut hour) = (HashMap::new(), start);
            for (later, first, is_sweep) in steps {
                hour += later;
                let now = mark(hour);
                if is_sweep || later > 0 {
                    asked.sweep(now);
                }
                for n in first..first + 20 {
                    let of = fingerprint(n);
                    let is_known = model.get(&n).is_some_and(|at| hour - at < 720);
                    prop_assert_eq!(asked.holds(of, now), is_known, "{} at {}", n, hour);
                    prop_assert_eq!(asked.insert(of, now, now), !is_known);
                    if !is_known {
                        model.insert(n, hour);
                    }
                }
            }
            let alive = model.values().filter(|at| hour - **at < 720).count();
            asked.sweep(mark(hour));
            prop_assert_eq!(asked.figures().entries, alive as u64);
            prop_assert_eq!(asked.figures().evicted, 0);
        }
    }

    #[test]
    fn a_full_memory_forgets_the_older_and_takes_no_more_bytes() {
        let bytes = 256 * 1024;
        let asked = AskedHandles::new(bytes, DAY30);
        let slots = bytes / 4;
        let mut remembered = VecDeque::new();
        for n in 0..3 * slots {
            let now = mark(n * 600 / slots);
            asked.insert(fingerprint(n), now, now);
            remembered.push_back(n);
        }
        let now = mark(3 * 600);
        let figures = asked.figures();
        assert!(figures.entries <= slots && figures.bytes <= bytes, "{figures:?}");
        let known = |range: std::ops::Range<u64>| {
            let total = range.end - range.start;
            let known = range.filter(|n| asked.holds(fingerprint(*n), now)).count() as u64;
            known * 100 / total
        };
        // The last half of what fits is there, and what was asked before twice as much is not.
        assert!(known(3 * slots - slots / 2..3 * slots) >= 99);
        assert!(known(0..slots) <= 1);
        assert!(figures.evicted > slots);
    }

    #[test]
    fn marks_come_again_only_after_the_longest_retention() {
        for hour in [0, 1, 719, 720, 1_022, 1_023, 498_728] {
            assert!((1..=1_023).contains(&mark(hour)));
            assert_eq!(age(mark(hour), mark(hour + 719)), 719);
            assert_eq!(age(mark(hour), mark(hour + 1_020)), 1_020);
            assert_eq!(age(mark(hour + 2), mark(hour)), 0);
            // The clock was corrected to an earlier hour: the entry costs again.
            assert_eq!(age(mark(hour + 3), mark(hour)), 1_020);
        }
    }
}

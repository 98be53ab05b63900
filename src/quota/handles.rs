//! New handles of one account: a bucket that refills evenly over a day, and a memory of what was asked in 30 days.

use std::{hash::BuildHasher, time::Duration};

use dashmap::DashMap;
use foldhash::quality::RandomState;

use super::{Exceeded, Limit, forgotten_at};
use crate::{clock::Timestamp, handle::Handle, ids::AccountId, limits};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What an account has left, as the `RateLimit` headers say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// New handles in 24 hours.
    pub limit: u32,
    /// New handles that may be asked for now.
    pub remaining: u32,
    /// Until the whole allowance is back.
    pub reset: Duration,
}

#[derive(Debug)]
struct Account {
    /// New handles that count now, in millionths, so that a slow refill is exact.
    used_millionths: u64,
    /// By the boot clock, which nobody sets.
    counted_at: Duration,
    /// Keyed hash of a handle -> the second at which it counts as new again.
    seen: std::collections::HashMap<u64, u32, RandomState>,
}

#[derive(Debug)]
pub(super) struct SeenHandles {
    per_day: u32,
    key: RandomState,
    accounts: DashMap<AccountId, Account, RandomState>,
}

impl SeenHandles {
    pub(super) fn new(per_day: u32) -> Self {
        Self {
            per_day,
            key: RandomState::default(),
            accounts: DashMap::with_hasher(RandomState::default()),
        }
    }

    pub(super) fn take<'a>(
        &self,
        account: AccountId,
        handles: impl Iterator<Item = &'a Handle> + Clone,
        now: Timestamp,
        boot: Duration,
    ) -> Result<Allowance, Exceeded> {
        let second = seconds(now);
        let mut entry = self.accounts.entry(account).or_insert_with(|| Account {
            used_millionths: 0,
            counted_at: boot,
            seen: std::collections::HashMap::with_hasher(RandomState::default()),
        });
        entry.refill(self.per_day, boot);

        let hashes = handles.map(|handle| self.hash(handle));
        let is_new = |hash: &u64| entry.seen.get(hash).is_none_or(|&again| again <= second);
        let mut new: Vec<u64> = hashes.filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        let cost = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let used = entry.used_millionths + millionths(cost);
        if used > millionths(self.per_day) {
            let wait = self.time_to_refill(used - millionths(self.per_day));
            return Err(Exceeded { limit: Limit::NewHandles, cost, retry_after: wait });
        }
        entry.used_millionths = used;
        let forgotten = seconds(forgotten_at(now));
        for hash in new {
            if entry.seen.len() < limits::QUOTA_SEEN_PER_ACCOUNT_MAX {
                entry.seen.insert(hash, forgotten);
            }
        }
        let remaining = (millionths(self.per_day) - used) / 1_000_000;
        Ok(Allowance {
            limit: self.per_day,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: self.time_to_refill(used),
        })
    }

    /// One hash for all spellings of a number: whoever asks for two of them asks for one person.
    fn hash(&self, handle: &Handle) -> u64 {
        let others = handle.equivalents().map(|other| self.key.hash_one(other));
        others.fold(self.key.hash_one(handle), u64::min)
    }

    /// Drops handles that count as new again and accounts that have nothing left to remember.
    pub(super) fn forget_older(&self, now: Timestamp, boot: Duration) {
        let second = seconds(now);
        self.accounts.retain(|_, account| {
            account.refill(self.per_day, boot);
            account.seen.retain(|_, forgotten| *forgotten > second);
            account.used_millionths > 0 || !account.seen.is_empty()
        });
    }

    fn time_to_refill(&self, used_millionths: u64) -> Duration {
        let micros =
            u128::from(used_millionths) * DAY.as_micros() / u128::from(millionths(self.per_day));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl Account {
    /// Gives back what the time since the last count has earned.
    fn refill(&mut self, per_day: u32, boot: Duration) {
        let passed = boot.saturating_sub(self.counted_at).as_micros();
        let earned = passed * u128::from(millionths(per_day)) / DAY.as_micros();
        let earned = u64::try_from(earned).unwrap_or(u64::MAX);
        self.used_millionths = self.used_millionths.saturating_sub(earned);
        self.counted_at = boot;
    }
}

fn millionths(handles: u32) -> u64 {
    u64::from(handles) * 1_000_000
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(n: u32) -> Handle {
        Handle::from_canonical(&format!("+1415{:07}", n)).unwrap()
    }

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const ACCOUNT: AccountId = AccountId::from_bits(7);

    fn take(seen: &SeenHandles, handles: &[Handle], now: Timestamp) -> Result<Allowance, Exceeded> {
        seen.take(ACCOUNT, handles.iter(), now, boot(now))
    }

    /// The boot clock, as long as nobody sets the wall's.
    fn boot(now: Timestamp) -> Duration {
        now.since(NOW)
    }

    #[test]
    fn a_repeat_is_free_for_thirty_days() {
        let seen = SeenHandles::new(10);
        let first = take(&seen, &[phone(1), phone(2), phone(1)], NOW).unwrap();
        assert_eq!((first.limit, first.remaining), (10, 8));
        assert_eq!(take(&seen, &[phone(1)], NOW).unwrap().remaining, 8);

        let day30 = NOW.plus(limits::QUOTA_REPEAT_FREE);
        let before = take(&seen, &[phone(1)], day30.minus(Duration::from_secs(1))).unwrap();
        assert_eq!(before.remaining, 10);
        assert_eq!(take(&seen, &[phone(1)], day30).unwrap().remaining, 9);
    }

    #[test]
    fn too_many_new_handles_count_nothing_and_say_when() {
        let seen = SeenHandles::new(4);
        take(&seen, &[phone(1), phone(2), phone(3)], NOW).unwrap();
        let refused = take(&seen, &[phone(4), phone(5)], NOW).unwrap_err();
        assert_eq!((refused.cost, refused.retry_after), (2, DAY / 4));
        assert_eq!(take(&seen, &[phone(4)], NOW).unwrap().remaining, 0);
        let later = NOW.plus(DAY / 4);
        assert_eq!(take(&seen, &[phone(5)], later).unwrap().remaining, 0);
        assert!(take(&seen, &[phone(6)], later).is_err());
        assert_eq!(take(&seen, &[phone(5)], later).unwrap().remaining, 0);
    }

    #[test]
    fn a_clock_that_is_set_gives_nothing_away_and_jams_nothing() {
        let seen = SeenHandles::new(2);
        take(&seen, &[phone(1), phone(2)], NOW).unwrap();
        for wall in [NOW.minus(DAY), NOW.plus(365 * DAY), NOW] {
            assert!(seen.take(ACCOUNT, [&phone(3)].into_iter(), wall, Duration::ZERO).is_err());
        }
        assert!(seen.take(ACCOUNT, [&phone(3)].into_iter(), NOW, DAY).is_ok());
    }

    #[test]
    fn accounts_with_nothing_to_remember_are_dropped() {
        let seen = SeenHandles::new(10);
        take(&seen, &[phone(1)], NOW).unwrap();
        seen.forget_older(NOW.plus(DAY), DAY);
        assert_eq!(seen.accounts.len(), 1);
        seen.forget_older(NOW.plus(limits::QUOTA_REPEAT_FREE), limits::QUOTA_REPEAT_FREE);
        assert!(seen.accounts.is_empty());
    }
}

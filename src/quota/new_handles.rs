//! The limit on new handles of an account: a token bucket that refills evenly over a day, and the handles of 30 days.

use std::{collections::HashMap, hash::BuildHasher, time::Duration};

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::{clock::Timestamp, handle::Handle, ids::AccountId, limits, vocabulary::QuotaLimit};

use super::limit::{Allowance, Exceeded};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct Account {
    /// Charged handles that the bucket has not regained, in millionths, so that a slow refill is exact.
    used_millionths: u64,
    /// When the bucket was last refilled, by the boot clock, which nobody can set.
    refilled_at: Duration,
    /// For the keyed hash of each handle, the second from which the handle is new again.
    seen: HashMap<u64, u32, RandomState>,
}

pub(super) struct NewHandles {
    per_day: u32,
    key: RandomState,
    accounts: DashMap<AccountId, Account, RandomState>,
}

impl NewHandles {
    pub(super) fn new(per_day: u32) -> Self {
        Self { per_day, key: RandomState::default(), accounts: DashMap::default() }
    }

    /// Charges those of `handles` that are new to `account`: all or none. `now` is trusted time, `boot` the boot clock.
    pub(super) fn charge<'a>(
        &self,
        account: AccountId,
        handles: impl Iterator<Item = &'a Handle> + Clone,
        now: Timestamp,
        boot: Duration,
    ) -> Result<Allowance, Exceeded> {
        let second = seconds(now);
        let mut entry = self.accounts.entry(account).or_insert_with(|| Account {
            used_millionths: 0,
            refilled_at: boot,
            seen: HashMap::default(),
        });
        entry.refill(self.per_day, boot);

        let hashes = handles.map(|handle| self.hash(handle));
        let is_new = |hash: &u64| entry.seen.get(hash).is_none_or(|&again| again <= second);
        let mut new: Vec<u64> = hashes.filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        let cost = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let used = entry.used_millionths + millionths(cost);
        if let Some(excess) = used.checked_sub(millionths(self.per_day)).filter(|more| *more > 0) {
            let retry_after = self.time_to_refill(excess);
            return Err(Exceeded { limit: QuotaLimit::NewHandles, cost, retry_after });
        }
        entry.used_millionths = used;
        let new_again_at = seconds(now.plus(limits::QUOTA_REPEAT_FREE));
        for hash in new {
            if entry.seen.len() < limits::QUOTA_SEEN_PER_ACCOUNT_MAX {
                entry.seen.insert(hash, new_again_at);
            }
        }
        let remaining = (millionths(self.per_day) - used) / 1_000_000;
        Ok(Allowance {
            limit: self.per_day,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: self.time_to_refill(used),
        })
    }

    /// One hash for all spellings of a number, since they reach one person.
    fn hash(&self, handle: &Handle) -> u64 {
        let others = handle.equivalents().map(|other| self.key.hash_one(other));
        others.fold(self.key.hash_one(handle), u64::min)
    }

    /// Drops handles that are new again, and accounts with a full bucket and no handles.
    pub(super) fn evict(&self, now: Timestamp, boot: Duration) {
        let second = seconds(now);
        self.accounts.retain(|_, account| {
            account.refill(self.per_day, boot);
            account.seen.retain(|_, new_again_at| *new_again_at > second);
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
    fn refill(&mut self, per_day: u32, boot: Duration) {
        let passed = boot.saturating_sub(self.refilled_at).as_micros();
        let regained = passed * u128::from(millionths(per_day)) / DAY.as_micros();
        let regained = u64::try_from(regained).unwrap_or(u64::MAX);
        self.used_millionths = self.used_millionths.saturating_sub(regained);
        self.refilled_at = boot;
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

    fn charge(
        seen: &NewHandles,
        handles: &[Handle],
        now: Timestamp,
    ) -> Result<Allowance, Exceeded> {
        seen.charge(ACCOUNT, handles.iter(), now, boot(now))
    }

    /// The boot clock while nobody sets the wall clock.
    fn boot(now: Timestamp) -> Duration {
        now.since(NOW)
    }

    #[test]
    fn a_repeat_is_free_for_thirty_days() {
        let seen = NewHandles::new(10);
        let first = charge(&seen, &[phone(1), phone(2), phone(1)], NOW).unwrap();
        assert_eq!((first.limit, first.remaining), (10, 8));
        assert_eq!(charge(&seen, &[phone(1)], NOW).unwrap().remaining, 8);

        let day30 = NOW.plus(limits::QUOTA_REPEAT_FREE);
        let before = charge(&seen, &[phone(1)], day30.minus(Duration::from_secs(1))).unwrap();
        assert_eq!(before.remaining, 10);
        assert_eq!(charge(&seen, &[phone(1)], day30).unwrap().remaining, 9);
    }

    #[test]
    fn too_many_new_handles_charge_nothing_and_return_when_to_retry() {
        let seen = NewHandles::new(4);
        charge(&seen, &[phone(1), phone(2), phone(3)], NOW).unwrap();
        let refused = charge(&seen, &[phone(4), phone(5)], NOW).unwrap_err();
        assert_eq!((refused.cost, refused.retry_after), (2, DAY / 4));
        assert_eq!(charge(&seen, &[phone(4)], NOW).unwrap().remaining, 0);
        let later = NOW.plus(DAY / 4);
        assert_eq!(charge(&seen, &[phone(5)], later).unwrap().remaining, 0);
        assert!(charge(&seen, &[phone(6)], later).is_err());
        assert_eq!(charge(&seen, &[phone(5)], later).unwrap().remaining, 0);
    }

    #[test]
    fn setting_the_wall_clock_refills_nothing_and_blocks_nothing() {
        let seen = NewHandles::new(2);
        charge(&seen, &[phone(1), phone(2)], NOW).unwrap();
        for wall in [NOW.minus(DAY), NOW.plus(365 * DAY), NOW] {
            assert!(seen.charge(ACCOUNT, [&phone(3)].into_iter(), wall, Duration::ZERO).is_err());
        }
        assert!(seen.charge(ACCOUNT, [&phone(3)].into_iter(), NOW, DAY).is_ok());
    }

    #[test]
    fn accounts_without_charges_and_handles_are_evicted() {
        let seen = NewHandles::new(10);
        charge(&seen, &[phone(1)], NOW).unwrap();
        seen.evict(NOW.plus(DAY), DAY);
        assert_eq!(seen.accounts.len(), 1);
        seen.evict(NOW.plus(limits::QUOTA_REPEAT_FREE), limits::QUOTA_REPEAT_FREE);
        assert!(seen.accounts.is_empty());
    }
}

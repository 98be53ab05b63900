//! [`Accounts`]: the state of each account that has asked for new handles.

use std::{
    collections::HashMap,
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard},
};

use foldhash::quality::RandomState;

use super::{standing::Standing, sweep::Evidence};
use crate::{ids::AccountId, lock::lock};

const SHARDS: usize = 64;
/// How long a shard that is full waits before it looks again for states to evict, in microseconds: a look reads all of them.
const LOOK_PAUSE_US: u64 = 1_000_000;

/// What the quota knows of the flag of an account. The registry keeps the flag itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FlagMark {
    /// It has none.
    #[default]
    None,
    /// The detector found something, and the registry has not stored the flag yet.
    Suspected,
    /// The registry has stored it.
    Stored,
}

/// What the quota knows of one account. Instants are microseconds of the boot clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct AccountState {
    /// When the daily bucket is full again.
    pub(super) daily_us: u64,
    /// When the bucket of the address book is full again.
    pub(super) import_us: u64,
    /// When the account last asked for a new handle.
    pub(super) active_us: u64,
    /// What the account had proved when that was last read, if it holds a handle.
    pub(super) standing: Option<Standing>,
    /// In which hour of the boot clock that was.
    pub(super) standing_hour: u16,
    pub(super) flag: FlagMark,
    pub(super) evidence: Evidence,
}

// A larger one would halve the number of accounts that the memory holds by default.
const _: () = assert!(size_of::<AccountState>() <= 48);

impl AccountState {
    /// Whether nothing of it limits the account. What is known of its hits is lost with it.
    fn is_idle(&self, now_us: u64) -> bool {
        self.daily_us.max(self.import_us) <= now_us && self.flag != FlagMark::Suspected
    }
}

/// All states are taken and none is idle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[derive(Default)]
struct Shard {
    states: HashMap<AccountId, AccountState, RandomState>,
    /// When the next look for idle states may be.
    look_us: u64,
    evicted: u64,
}

/// The states of accounts, a bounded number of them.
///
/// If it is full, the idle states that were inactive for longest are evicted. A state that limits its account is never evicted:
/// rather, an account without a state gets no new handles.
pub(super) struct Accounts {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    each_max: usize,
}

impl Accounts {
    /// Takes at most `bytes`.
    pub(super) fn new(bytes: u64) -> Self {
        // A state, its key, and a byte of the map's own. A map grows by doubling and is at most 7/8 full.
        let slots = bytes / SHARDS as u64 / (size_of::<(AccountId, AccountState)>() as u64 + 1);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX).max(8);
        let slots = 1 << slots.ilog2();
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { shards, hasher: RandomState::default(), each_max: slots / 8 * 7 }
    }

    /// Reads the state of an account, or a new one.
    pub(super) fn get(&self, account: AccountId) -> AccountState {
        self.shard(account).states.get(&account).copied().unwrap_or_default()
    }

    /// Changes the state of an account that has one.
    pub(super) fn change<T>(
        &self,
        account: AccountId,
        change: impl FnOnce(&mut AccountState) -> T,
    ) -> Option<T> {
        self.shard(account).states.get_mut(&account).map(change)
    }

    /// Changes the state of an account, which gets one if it has none.
    pub(super) fn change_or_add<T>(
        &self,
        account: AccountId,
        now_us: u64,
        change: impl FnOnce(&mut AccountState) -> T,
    ) -> Result<T, Full> {
        let mut shard = self.shard(account);
        if shard.states.len() >= self.each_max && !shard.states.contains_key(&account) {
            shard.evict(now_us)?;
        }
        Ok(change(shard.states.entry(account).or_default()))
    }

    /// All states, a shard at a time: a copy, so that the shard is blocked no longer than it takes.
    pub(super) fn shards(&self) -> impl Iterator<Item = Vec<(AccountId, AccountState)>> {
        self.shards
            .iter()
            .map(|shard| lock(shard).states.iter().map(|(id, it)| (*id, *it)).collect())
    }

    /// The number of states, the bytes that they take, and how many were evicted.
    pub(super) fn figures(&self) -> (u64, u64, u64) {
        self.shards.iter().fold((0, 0, 0), |(states, bytes, evicted), shard| {
            let shard = lock(shard);
            let slots = shard.states.capacity() as u64 * 8 / 7;
            let slot_bytes = size_of::<(AccountId, AccountState)>() as u64 + 1;
            let states = states + shard.states.len() as u64;
            (states, bytes + slots * slot_bytes, evicted + shard.evicted)
        })
    }

    fn shard(&self, account: AccountId) -> MutexGuard<'_, Shard> {
        let place = self.hasher.hash_one(account) >> 32;
        lock(&self.shards[place as usize % SHARDS])
    }
}

impl Shard {
    /// Evicts half of the idle states, those that were inactive for longest.
    fn evict(&mut self, now_us: u64) -> Result<(), Full> {
        if now_us < self.look_us {
            return Err(Full);
        }
        let idle = self.states.values().filter(|state| state.is_idle(now_us));
        let mut active: Vec<_> = idle.map(|state| state.active_us).collect();
        if active.is_empty() {
            self.look_us = now_us + LOOK_PAUSE_US;
            return Err(Full);
        }
        let middle = active.len() / 2;
        let (_, limit, _) = active.select_nth_unstable(middle);
        let (limit, before) = (*limit, self.states.len());
        let is_kept = |state: &AccountState| !(state.is_idle(now_us) && state.active_us <= limit);
        // A new map: a map whose entries are removed keeps their marks, and would double to be rid of them.
        let mut kept = HashMap::with_capacity_and_hasher(before, self.states.hasher().clone());
        kept.extend(self.states.drain().filter(|(_, state)| is_kept(state)));
        self.states = kept;
        self.evicted += (before - self.states.len()) as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_evicts_only_what_limits_nobody_and_first_what_was_inactive_for_long() {
        // Large shards: a map of few entries has no marks of removed ones.
        const BYTES: u64 = 4 << 20;
        let accounts = Accounts::new(BYTES);
        let account = |n: usize| AccountId::from_bits(n as u64);
        let most = SHARDS * accounts.each_max;
        // The first hundred are blocked for long.
        for n in 0..6 * most {
            let now_us = n as u64;
            let add = accounts.change_or_add(account(n), now_us, |state| {
                state.active_us = now_us;
                state.daily_us = if n < 100 { u64::MAX } else { 0 };
            });
            assert_eq!(add, Ok(()), "{n}");
        }
        let (states, bytes, evicted) = accounts.figures();
        assert!(states as usize <= most && bytes <= BYTES, "{states} states in {bytes} bytes");
        assert!(evicted > 3 * most as u64);
        assert!((0..100).all(|n| accounts.get(account(n)).daily_us == u64::MAX));
        let last = accounts.get(account(6 * most - 1));
        assert_eq!(last.active_us as usize, 6 * most - 1);
    }

    #[test]
    fn if_every_state_limits_somebody_no_other_account_gets_one() {
        let accounts = Accounts::new(1);
        let account = AccountId::from_bits;
        let block = |state: &mut AccountState| state.import_us = 1_000;
        let added = (0..10_000).filter(|n| accounts.change_or_add(account(*n), 1, block).is_ok());
        let added = added.count();
        assert_eq!(added, SHARDS * accounts.each_max);
        assert_eq!(accounts.change_or_add(account(10_001), 1, block), Err(Full));
        assert_eq!(accounts.change_or_add(account(10_001), 999_999, block), Err(Full));
        accounts.change_or_add(account(10_001), 1_000_001, block).unwrap();
    }
}

//! [`Blocks`]: how much of each block of numbers all accounts together have asked.

use std::hash::BuildHasher;
use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use foldhash::quality::FixedState;

use crate::{handle::PhoneKey, limits, lock::lock};

use super::{
    slot::{BITS, CLOSED_HOURS, Slot},
    thresholds::{MATURE_RATIO, is_empty, is_low},
};

/// Numbers in a block: those that differ in the last four digits only.
const BLOCK_NUMBERS: u64 = 10_000;
/// Slots in which a block may lie.
const WAYS: usize = 8;
const SETS: usize = limits::SWEEP_BLOCKS_MAX / WAYS;
/// A swept block has so many times the numbers that the median block has. Landlines near a service's customers have no hits,
/// but neighbours with as many numbers.
const TIMES_TYPICAL: f32 = 8.0;
/// Blocks that older accounts have asked in, before the median means anything.
const TYPICAL_BLOCKS_MIN: u32 = 64;

/// A table of the blocks that were asked lately, of fixed size.
pub(super) struct Blocks {
    hasher: FixedState,
    sets: Box<[Mutex<Vec<Slot>>]>,
    /// How many blocks have a number of older accounts' bits with this logarithm. Blocks that only younger accounts asked
    /// in are not counted, so that a botnet cannot raise the median.
    by_older: [AtomicU32; BITS.ilog2() as usize + 1],
    /// The hour in which the last block opens again.
    all_open: AtomicU32,
}

/// One new number that an account has asked for.
pub(super) struct Asked {
    pub(super) number: PhoneKey,
    pub(super) is_hit: bool,
    /// Whether the account has held a handle for a while.
    pub(super) is_older: bool,
    /// The service's hit ratio, once known.
    pub(super) ratio: Option<f32>,
    /// The hour since the Unix epoch.
    pub(super) hour: u32,
}

impl Blocks {
    /// An empty table. Attackers who know `seed` can choose blocks that evict each other.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
            by_older: Default::default(),
            all_open: AtomicU32::new(0),
        }
    }

    /// Counts a number, and returns whether its block is swept.
    pub(super) fn observe(&self, asked: &Asked) -> bool {
        let number = asked.number.first_spelling().bits();
        let block = number / BLOCK_NUMBERS;
        let bit = self.hasher.hash_one(number) as usize % BITS;
        let mut set = lock(self.set(block));
        let slot = self.slot(&mut set, block, asked);
        let older = slot.older();
        slot.count(bit, asked.is_hit, asked.is_older);
        self.move_older(older, slot.older());
        if !slot.is_closed(asked.hour) && self.is_swept_now(slot, asked.ratio) {
            let until = asked.hour.saturating_add(CLOSED_HOURS);
            slot.close(until);
            self.all_open.fetch_max(until, Ordering::Relaxed);
        }
        slot.is_closed(asked.hour)
    }

    /// Whether the number's block was swept lately.
    pub(super) fn is_swept(&self, number: PhoneKey, hour: u32) -> bool {
        if self.all_open.load(Ordering::Relaxed) <= hour {
            return false;
        }
        let block = number.first_spelling().bits() / BLOCK_NUMBERS;
        lock(self.set(block)).iter().any(|slot| slot.block() == block && slot.is_closed(hour))
    }

    /// The swept blocks, and the hour in which each opens again.
    pub(super) fn closed(&self, hour: u32) -> Vec<(u64, u32)> {
        if self.all_open.load(Ordering::Relaxed) <= hour {
            return Vec::new();
        }
        let mut closed = Vec::new();
        for set in &self.sets {
            let set = lock(set);
            let slots = set.iter().filter(|slot| slot.is_closed(hour));
            closed.extend(slots.map(|slot| (slot.block(), slot.closed_until())));
        }
        closed
    }

    /// Closes a block again that [`Self::closed`] returned before a restart.
    pub(super) fn restore(&self, block: u64, until: u32) {
        let mut set = lock(self.set(block));
        let at = set.iter().position(|slot| slot.block() == block).unwrap_or(set.len());
        if at == set.len() && at < WAYS {
            set.push(Slot::new(block, until.saturating_sub(CLOSED_HOURS)));
        }
        if let Some(slot) = set.get_mut(at) {
            slot.close(until);
            self.all_open.fetch_max(until, Ordering::Relaxed);
        }
    }

    fn set(&self, block: u64) -> &Mutex<Vec<Slot>> {
        &self.sets[self.hasher.hash_one(block) as usize % SETS]
    }

    /// The block's slot. If there is none, and the set is full, the least useful slot is evicted.
    fn slot<'s>(&self, set: &'s mut Vec<Slot>, block: u64, asked: &Asked) -> &'s mut Slot {
        let at = set.iter().position(|slot| slot.block() == block).unwrap_or_else(|| {
            if set.len() < WAYS {
                set.push(Slot::new(block, asked.hour));
                return set.len() - 1;
            }
            let use_of = |slot: &Slot| usefulness(slot, asked);
            let least = (0..WAYS).min_by_key(|&at| use_of(&set[at])).unwrap_or_default();
            self.move_older(set[least].older(), 0);
            set[least] = Slot::new(block, asked.hour);
            least
        });
        let slot = &mut set[at];
        slot.correct(asked.hour);
        if slot.is_over(asked.hour) {
            self.move_older(slot.older(), 0);
            slot.renew(asked.hour);
        }
        slot
    }

    /// Whether much of the block was asked, far more than of others, with few hits.
    fn is_swept_now(&self, slot: &Slot, ratio: Option<f32>) -> bool {
        let Some(ratio) = ratio.filter(|_| slot.is_covered()) else { return false };
        if !looks_swept(slot, ratio) {
            return false;
        }
        match self.typical() {
            Some(typical) => slot.distinct() >= TIMES_TYPICAL * typical,
            None => ratio >= MATURE_RATIO,
        }
    }

    /// At least as many numbers as older accounts asked of the median block, within a factor of two.
    fn typical(&self) -> Option<f32> {
        let counts = self.by_older.each_ref().map(|count| count.load(Ordering::Relaxed));
        let total: u32 = counts.iter().sum();
        let mut below = 0;
        let median = counts.iter().position(|&count| {
            below += count;
            below * 2 >= total
        })?;
        (total >= TYPICAL_BLOCKS_MIN).then(|| (2u32 << median) as f32)
    }

    fn move_older(&self, from: u16, to: u16) {
        let (from, to) = (from.checked_ilog2(), to.checked_ilog2());
        if from == to {
            return;
        }
        if let Some(from) = from {
            self.by_older[from as usize].fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(to) = to {
            self.by_older[to as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn looks_swept(slot: &Slot, ratio: f32) -> bool {
    let (hits, bits) = (f32::from(slot.hits()), f32::from(slot.bits()));
    is_low(hits, bits, ratio) && !is_empty(hits, bits, ratio)
}

/// A closed block is the most useful one, then one that may be swept. Others are hardly missed, however much was asked.
fn usefulness(slot: &Slot, asked: &Asked) -> (bool, u16) {
    const OTHERS_MAX: u16 = 32;
    if slot.is_closed(asked.hour) {
        return (true, slot.closed_until() as u16);
    }
    let bits = if slot.is_over(asked.hour) { 0 } else { slot.bits() };
    let may_be_swept = asked.ratio.is_some_and(|ratio| looks_swept(slot, ratio));
    (false, if may_be_swept { bits } else { bits.min(OTHERS_MAX) })
}

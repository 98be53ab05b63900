//! Hash tables of places: four bytes and one of control for each key, since the key itself lies in the arena.
//!
//! A table cannot see which of a record's keys a place stands for, only which keys the record has. So all keys of a
//! record come and go together, and two of them that meet in one shard are handled by looking at the whole shard.
//! Cut into many shards, each a table of its own, so that one that grows never keeps lookups waiting for long.

use hashbrown::HashTable;

use super::arena::Slot;

/// Four shards in tests, so that keys of one record often meet.
const SHARD_BITS: u32 = if cfg!(test) { 2 } else { 10 };
const SHARDS: usize = 1 << SHARD_BITS;
/// The highest bits of a hash, by which hashbrown tells entries of a group apart.
const TAG_BITS: u32 = 7;
/// Where [`Table::any`] looks: in a shard of ordinary load one of so many is used.
const ANY_BUCKETS: usize = 64;

/// Visits the hashes of the keys of the record at a place.
pub(super) type HashesOf<'a> = &'a (dyn Fn(Slot, &mut dyn FnMut(u64)) + Sync);

/// Places by the hashes of their records' keys.
pub(super) struct Table {
    shards: Vec<Shard>,
}

#[derive(Default)]
pub(super) struct Shard(HashTable<Slot>);

/// Hashbrown chooses the bucket by the low bits and the tag by the highest; the shard is chosen by those between.
const fn shard_of(hash: u64) -> usize {
    (hash >> (64 - TAG_BITS - SHARD_BITS)) as usize & (SHARDS - 1)
}

impl Table {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }

    /// The place under `hash` whose record has the key meant.
    pub(super) fn find(&self, hash: u64, mut has_key: impl FnMut(Slot) -> bool) -> Option<Slot> {
        self.shards[shard_of(hash)].0.find(hash, |place| has_key(*place)).copied()
    }

    /// The first place from where [`Self::find`] begins, whatever key it has. None if there is none close by: a shard from which most was
    /// removed is nearly empty.
    pub(super) fn any(&self, hash: u64) -> Option<Slot> {
        let shard = &self.shards[shard_of(hash)].0;
        let buckets = if shard.is_empty() { 0 } else { shard.num_buckets() };
        let bucket = |step| shard.get_bucket((hash as usize).wrapping_add(step) % buckets);
        (0..buckets.min(ANY_BUCKETS)).find_map(bucket).copied()
    }

    /// Puts a record's place under the hashes of its keys, none of which is there.
    pub(super) fn insert(&mut self, place: Slot, hashes: &[u64], hashes_of: HashesOf<'_>) {
        for hash in hashes {
            let number = shard_of(*hash);
            self.shards[number].insert(number, *hash, place, hashes_of);
        }
    }

    /// Takes a record's place away from the hashes of its keys, all of which are there.
    pub(super) fn remove(&mut self, place: Slot, hashes: &[u64]) {
        for hash in hashes {
            let number = shard_of(*hash);
            let shard = &mut self.shards[number].0;
            if hashes.iter().filter(|other| shard_of(**other) == number).count() > 1 {
                // Which of these entries is which cannot be told, and all of them go.
                shard.retain(|found| *found != place);
            } else {
                let Ok(entry) = shard.find_entry(*hash, |found| *found == place) else {
                    unreachable!("a record is found by each of its keys");
                };
                entry.remove();
            }
        }
    }

    /// Fills an empty table with `expected` keys, by several threads, each with shards of its own. `fill` is called on
    /// each with what decides whether a hash is its own, and with what takes it. True if each call returned true.
    pub(super) fn fill(
        &mut self,
        threads: usize,
        expected: u64,
        hashes_of: HashesOf<'_>,
        fill: impl Fn(&mut Filling<'_>) -> bool + Sync,
    ) -> bool {
        let share = SHARDS.div_ceil(threads.max(1));
        // Three standard deviations above the mean, so that next to no shard has to grow.
        let mean = expected as f64 / SHARDS as f64;
        let capacity = (mean + 3.0 * mean.sqrt()).ceil() as usize;
        std::thread::scope(|scope| {
            let pieces = self.shards.chunks_mut(share).enumerate();
            let workers: Vec<_> = pieces
                .map(|(number, shards)| {
                    let fill = &fill;
                    scope.spawn(move || {
                        for shard in shards.iter_mut() {
                            shard.0 = HashTable::with_capacity(capacity);
                        }
                        fill(&mut Filling { first: number * share, shards, hashes_of })
                    })
                })
                .collect();
            workers.into_iter().all(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    /// Bytes that the tables take.
    pub(super) fn bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.0.allocation_size() as u64).sum()
    }
}

/// Some of a table's shards, while it is being filled.
pub(super) struct Filling<'a> {
    first: usize,
    shards: &'a mut [Shard],
    hashes_of: HashesOf<'a>,
}

impl Filling<'_> {
    /// Takes `hash` if it belongs to these shards. False if a record that `has_key` is there already.
    pub(super) fn take(&mut self, hash: u64, place: Slot, has_key: impl Fn(Slot) -> bool) -> bool {
        let number = shard_of(hash);
        let Some(shard) = number.checked_sub(self.first).and_then(|at| self.shards.get_mut(at))
        else {
            return true;
        };
        // A record meets itself when two of its keys have the same hash.
        let is_other = |found: &Slot| *found != place && has_key(*found);
        if shard.0.find(hash, is_other).is_some() {
            return false;
        }
        shard.insert(number, hash, place, self.hashes_of);
        true
    }
}

impl Shard {
    fn insert(&mut self, number: usize, hash: u64, place: Slot, hashes_of: HashesOf<'_>) {
        if self.0.len() == self.0.capacity() {
            self.grow(number, hashes_of);
        }
        self.0.insert_unique(hash, place, |_| unreachable!("space was made"));
    }

    /// Builds the shard anew, larger. Not by hashbrown, which asks for the hash of an entry: there may be several.
    fn grow(&mut self, number: usize, hashes_of: HashesOf<'_>) {
        let capacity = (self.0.len() + 1) * 5 / 4;
        let before = std::mem::replace(&mut self.0, HashTable::with_capacity(capacity));
        // Records with several keys in this shard, and how many of these were met: the record last put in may have
        // more keys than entries so far.
        let mut several: Vec<(Slot, usize)> = Vec::new();
        for place in before.iter().copied() {
            let mut hashes = Vec::new();
            hashes_of(place, &mut |hash| {
                if shard_of(hash) == number {
                    hashes.push(hash);
                }
            });
            let met = if hashes.len() > 1 { met_again(&mut several, place) } else { 0 };
            if let Some(hash) = hashes.get(met) {
                self.0.insert_unique(*hash, place, |_| unreachable!("space was made"));
            }
        }
    }
}

/// How often `place` was met before.
fn met_again(several: &mut Vec<(Slot, usize)>, place: Slot) -> usize {
    match several.iter_mut().find(|(known, _)| *known == place) {
        Some((_, times)) => {
            *times += 1;
            *times
        }
        None => {
            several.push((place, 0));
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::registry::{
        account::Account,
        arena::Arena,
        packed::{Packed, pack},
        tests::accounts::device,
    };

    impl Table {
        /// How many entries there are: to compare with a model.
        pub(crate) fn len(&self) -> usize {
            self.shards.iter().map(|shard| shard.0.len()).sum()
        }
    }

    /// Hashes of one shard that often have the same tag and lie side by side.
    fn hashes() -> impl Strategy<Value = Vec<u64>> {
        let hash = (0..2u64, 0..96u64).prop_map(|(tag, bucket)| tag << (64 - TAG_BITS) | bucket);
        prop::collection::vec(hash, 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn keys_of_one_record_that_look_alike_come_and_go_together(records in prop::collection::vec((hashes(), 0..24usize), 500)) {
            let mut account = Account::new(crate::ids::AccountId::from_bits(1));
            account.devices.push(device(1));
            let (bytes, mut arena, mut table) = (pack(&account), Arena::default(), Table::new());
            let mut model: HashMap<Slot, Vec<u64>> = HashMap::new();
            let places: Vec<_> = (0..24).map(|_| arena.insert(Packed::of(&bytes))).collect();
            for (hashes, place) in records {
                if let Some(before) = model.remove(&places[place]) {
                    table.remove(places[place], &before);
                }
                model.insert(places[place], hashes.clone());
                let known = |place, visit: &mut dyn FnMut(u64)| model[&place].iter().for_each(|hash| visit(*hash));
                table.insert(places[place], &hashes, &known);
                for (place, hashes) in &model {
                    for hash in hashes {
                        prop_assert_eq!(table.find(*hash, |found| found == *place), Some(*place));
                    }
                }
                prop_assert_eq!(table.len(), model.values().map(Vec::len).sum::<usize>());
            }
        }
    }
}

//! [`Shard`]: a part of the memory of asked handles.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::quota::fingerprint::Fingerprint;

/// Slots of a line.
const SLOTS: usize = 16;
pub(super) const LINE_BYTES: usize = SLOTS * size_of::<u32>();
/// A shard becomes a table when it has an entry for this many slots. Until then an entry takes up to 40 bytes of a map, and
/// a small service does not use memory for the handles that it has not got.
const SLOTS_PER_ENTRY: usize = 16;
/// Bits of a slot that hold the hour. The others are a tag of the fingerprint.
const HOUR_BITS: u32 = 10;
const HOUR_MASK: u32 = (1 << HOUR_BITS) - 1;

/// An hour since the Unix epoch, modulo 1,023, plus one. Zero is no hour.
pub(in crate::quota) type HourMark = u16;

/// What the memory of asked handles has and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::quota) struct AskedFigures {
    /// Entries.
    pub(in crate::quota) entries: u64,
    /// Bytes that they take.
    pub(in crate::quota) bytes: u64,
    /// Entries that were evicted to make space for others.
    pub(in crate::quota) evicted: u64,
}

/// Fingerprints are uniform and secret, so the map needs no seed.
type Map = HashMap<Fingerprint, HourMark, FixedState>;

pub(super) struct Shard {
    form: Form,
    lines: usize,
    entries: u64,
    evicted: u64,
}

enum Form {
    Map(Map),
    /// Each entry lies in one of two lines, a cache line each, that its fingerprint names. A slot of zero is empty.
    Table(Vec<[u32; SLOTS]>),
}

impl Shard {
    pub(super) fn new(lines: usize) -> Self {
        Self { form: Form::Map(Map::default()), lines, entries: 0, evicted: 0 }
    }

    pub(super) fn holds(&self, of: Fingerprint, is_alive: impl Fn(HourMark) -> bool) -> bool {
        match &self.form {
            Form::Map(map) => map.get(&of).is_some_and(|mark| is_alive(*mark)),
            Form::Table(lines) => {
                let tag = tag(of);
                let is_it = |slot: &u32| {
                    *slot != 0 && *slot & !HOUR_MASK == tag && is_alive(mark_of(*slot))
                };
                places(of, lines.len()).into_iter().any(|line| lines[line].iter().any(is_it))
            }
        }
    }

    /// `kept_hours` is the age from which an entry is as good as none.
    pub(super) fn insert(
        &mut self,
        of: Fingerprint,
        mark: HourMark,
        age: impl Fn(HourMark) -> u16,
        kept_hours: u16,
    ) {
        if let Form::Map(map) = &mut self.form {
            map.insert(of, mark);
            self.entries = map.len() as u64;
            if map.len() <= self.lines * SLOTS / SLOTS_PER_ENTRY {
                return;
            }
            let few = std::mem::take(map);
            // Zeroed by the operating system: a page takes memory when it is first used.
            self.form = Form::Table(vec![[0; SLOTS]; self.lines]);
            self.entries = 0;
            for (of, mark) in few {
                self.insert_into_line(of, mark, &age, kept_hours);
            }
            return;
        }
        self.insert_into_line(of, mark, age, kept_hours);
    }

    fn insert_into_line(
        &mut self,
        of: Fingerprint,
        mark: HourMark,
        age: impl Fn(HourMark) -> u16,
        kept_hours: u16,
    ) {
        let Form::Table(lines) = &mut self.form else { return };
        let age_of = |slot: u32| if slot == 0 { u16::MAX } else { age(mark_of(slot)) };
        // The line with more space gets it; if neither has any, the oldest entry of both goes.
        let oldest = |line: &[u32; SLOTS]| {
            let free = line.iter().filter(|slot| age_of(**slot) >= kept_hours).count();
            let ages = line.iter().map(|slot| age_of(*slot)).enumerate();
            let (slot, age) = ages.max_by_key(|(_, age)| *age).unwrap_or_default();
            (free, age, slot)
        };
        let best = places(of, lines.len()).map(|line| (oldest(&lines[line]), line));
        let ((_, age, slot), line) = best[0].max(best[1]);
        let slot = &mut lines[line][slot];
        self.entries += u64::from(*slot == 0);
        self.evicted += u64::from(age < kept_hours);
        *slot = tag(of) | u32::from(mark);
    }

    /// Drops an entry. Another one with the same tag in its lines costs again.
    pub(super) fn remove(&mut self, of: Fingerprint) {
        match &mut self.form {
            Form::Map(map) => {
                map.remove(&of);
                self.entries = map.len() as u64;
            }
            Form::Table(lines) => {
                for line in places(of, lines.len()) {
                    let is_it = |slot: &&mut u32| **slot != 0 && **slot & !HOUR_MASK == tag(of);
                    for slot in lines[line].iter_mut().filter(is_it) {
                        *slot = 0;
                        self.entries -= 1;
                    }
                }
            }
        }
    }

    /// Drops the entries whose hour is not to be kept.
    pub(super) fn retain(&mut self, is_kept: impl Fn(HourMark) -> bool) {
        match &mut self.form {
            Form::Map(map) => {
                map.retain(|_, mark| is_kept(*mark));
                // What a burst took is given back.
                map.shrink_to(2 * map.len());
                self.entries = map.len() as u64;
            }
            Form::Table(lines) => {
                for slot in lines.as_flattened_mut() {
                    if *slot != 0 && !is_kept(mark_of(*slot)) {
                        *slot = 0;
                        self.entries -= 1;
                    }
                }
            }
        }
    }

    pub(super) fn figures(&self) -> AskedFigures {
        let bytes = match &self.form {
            // A key, a mark and its padding, and a byte of the map's own.
            Form::Map(map) => map.capacity() * (size_of::<(Fingerprint, HourMark)>() + 1) * 8 / 7,
            Form::Table(lines) => lines.len() * LINE_BYTES,
        };
        AskedFigures { entries: self.entries, bytes: bytes as u64, evicted: self.evicted }
    }
}

/// The two lines of a fingerprint: its high half names one, and a mix of all its bits the other.
fn places(of: Fingerprint, lines: usize) -> [usize; 2] {
    let mixed = (of ^ (of >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [of, mixed].map(|bits| (((bits >> 32) * lines as u64) >> 32) as usize)
}

/// The part of a slot that names a fingerprint: bits that name neither the shard nor the first line.
const fn tag(of: Fingerprint) -> u32 {
    ((of >> 8) as u32 & (u32::MAX >> HOUR_BITS)) << HOUR_BITS
}

const fn mark_of(slot: u32) -> HourMark {
    (slot & HOUR_MASK) as HourMark
}

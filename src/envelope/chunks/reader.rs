//! Reads the content of a chunk file, in any order.

use std::{
    io, iter,
    ops::Range,
    sync::{Mutex, MutexGuard, Once},
};

use bytes::Bytes;

use super::{
    layout::{ChunkPosition, Layout, RUN_CHUNKS, read_bytes, read_run},
    parity,
    seal::ChunkKey,
};
use crate::{files::File, lock::lock};

/// Why a range cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ChunkReadError {
    /// The operating system refuses, or the file has become shorter.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A chunk is not what was sealed there, nor can it be rebuilt. The others can still be read.
    #[error("chunk {chunk} of part {part} is damaged")]
    Damaged {
        /// The part, from 0.
        part: usize,
        /// The chunk, from 0 in its part.
        chunk: u32,
    },
    /// There is no such part, or it does not reach so far.
    #[error("part {part} does not have these bytes")]
    Outside {
        /// The part, from 0.
        part: usize,
    },
}

/// Chunks that are not as they were sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkCheck {
    /// Chunks that do not open, or cannot be read, as they lie on disk.
    pub damaged: u64,
    /// Those of them that their parity gives back.
    pub rebuilt: u64,
}

/// Reads the content of a chunk file. Holds the file open, and the 16 chunks that were used last.
///
/// A chunk that does not open is rebuilt from its parity each time it is read; nothing on disk is changed.
pub struct ChunkReader {
    file: File,
    key: ChunkKey,
    layout: Layout,
    cache: ChunkCache,
    /// Logs damage once for each reader.
    said: Once,
}

impl ChunkReader {
    pub(super) fn new(file: File, key: ChunkKey, layout: Layout) -> Self {
        Self { file, key, layout, cache: ChunkCache::default(), said: Once::new() }
    }

    /// Plaintext bytes of a part; 0 if there is no such part.
    pub fn part_bytes(&self, part: usize) -> u64 {
        self.layout.part_bytes(part).unwrap_or_default()
    }

    /// Some bytes of a part. No copy is made if they lie in one chunk; then they keep that chunk (64 KiB) in memory.
    pub fn read(&self, part: usize, range: Range<u64>) -> Result<Bytes, ChunkReadError> {
        let part_bytes = self.layout.part_bytes(part);
        if range.start > range.end || part_bytes.is_none_or(|bytes| range.end > bytes) {
            return Err(ChunkReadError::Outside { part });
        }
        let places: Vec<ChunkPosition> = self.layout.holding(part, &range).collect();
        match &places[..] {
            [] => Ok(Bytes::new()),
            [place] => {
                let chunk = self.chunk(place)?;
                Ok(chunk.slice(within(&place.covers(), &range)))
            }
            places => self.read_across(places, &range),
        }
    }

    /// How many chunks are damaged, and how many of those are not lost. Reads everything.
    pub fn check(&self) -> ChunkCheck {
        self.damaged().fold(ChunkCheck::default(), |check, place| ChunkCheck {
            damaged: check.damaged + 1,
            rebuilt: check.rebuilt + u64::from(self.rebuild(&place).is_ok()),
        })
    }

    /// The chunks that do not open or cannot be read. Reads everything, as it is on disk.
    pub(super) fn damaged(&self) -> impl Iterator<Item = ChunkPosition> + '_ {
        self.layout.runs().flat_map(|run| self.damaged_in(&run))
    }

    fn chunk(&self, place: &ChunkPosition) -> Result<Bytes, ChunkReadError> {
        if let Some(chunk) = self.cache.get(place.id.counter) {
            return Ok(chunk);
        }
        let opened = read_run(&self.file, &[*place]).ok().and_then(|mut sealed| {
            let bytes = self.key.open(&place.id, &mut sealed)?.len();
            sealed.truncate(bytes);
            Some(sealed)
        });
        let chunk = Bytes::from(opened.map_or_else(|| self.rebuild(place), Ok)?);
        self.cache.put(place.id.counter, chunk.clone());
        Ok(chunk)
    }

    fn read_across(
        &self,
        places: &[ChunkPosition],
        range: &Range<u64>,
    ) -> Result<Bytes, ChunkReadError> {
        let bytes = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut out = Vec::with_capacity(bytes);
        let mut rest = places;
        while let Some((place, after)) = rest.split_first() {
            if let Some(chunk) = self.cache.get(place.id.counter) {
                out.extend_from_slice(&chunk[within(&place.covers(), range)]);
                rest = after;
                continue;
            }
            let missing =
                after.iter().take_while(|place| self.cache.get(place.id.counter).is_none());
            let (run, after) = rest.split_at(1 + missing.take(RUN_CHUNKS - 1).count());
            self.read_run_into(&mut out, run, range)?;
            rest = after;
        }
        Ok(out.into())
    }

    fn read_run_into(
        &self,
        out: &mut Vec<u8>,
        run: &[ChunkPosition],
        range: &Range<u64>,
    ) -> Result<(), ChunkReadError> {
        let Ok(mut sealed) = read_run(&self.file, run) else {
            // One unreadable sector must not make the whole run unreadable.
            for place in run {
                out.extend_from_slice(&self.chunk(place)?[within(&place.covers(), range)]);
            }
            return Ok(());
        };
        for (place, sealed) in pieces(run, &mut sealed) {
            let Some(chunk) = self.key.open(&place.id, sealed) else {
                out.extend_from_slice(&self.chunk(place)?[within(&place.covers(), range)]);
                continue;
            };
            let wanted = within(&place.covers(), range);
            out.extend_from_slice(&chunk[wanted.clone()]);
            // The caller reads the rest of it next; a chunk that was read whole is not read again.
            if wanted.len() < chunk.len() {
                self.cache.put(place.id.counter, Bytes::copy_from_slice(chunk));
            }
        }
        Ok(())
    }

    /// A chunk that does not open, from the others of its stripe and their parity.
    fn rebuild(&self, place: &ChunkPosition) -> Result<Vec<u8>, ChunkReadError> {
        let stripe = parity::stripe_of(place.id.counter);
        let mut sum = Vec::new();
        if let Some(parity) = self.layout.parities().nth(stripe as usize) {
            parity::add(&mut sum, &read_bytes(&self.file, parity)?);
        }
        for other in self.layout.stripe(stripe).filter(|other| other.id != place.id) {
            parity::add(&mut sum, &read_run(&self.file, &[other])?);
        }
        sum.truncate(place.sealed_bytes);
        let (part, chunk) = place.named();
        let opened = self.key.open(&place.id, &mut sum).map(<[u8]>::len);
        self.said.call_once(|| {
            let (file, rebuilt) = (&self.key.file, opened.is_some());
            let (hour, number) = (file.hour.number(), file.number);
            tracing::warn!(
                hour,
                number,
                part,
                chunk,
                rebuilt,
                "a chunk of a sealed file is damaged"
            );
        });
        sum.truncate(opened.ok_or(ChunkReadError::Damaged { part, chunk })?);
        Ok(sum)
    }

    fn damaged_in(&self, run: &[ChunkPosition]) -> Vec<ChunkPosition> {
        if let Ok(mut sealed) = read_run(&self.file, run) {
            return pieces(run, &mut sealed)
                .filter_map(|(place, sealed)| {
                    self.key.open(&place.id, sealed).is_none().then_some(*place)
                })
                .collect();
        }
        if let [place] = run {
            return vec![*place];
        }
        // One unreadable sector must not count the whole run as damaged.
        run.chunks(1).flat_map(|place| self.damaged_in(place)).collect()
    }
}

fn pieces<'a>(
    run: &'a [ChunkPosition],
    mut sealed: &'a mut [u8],
) -> impl Iterator<Item = (&'a ChunkPosition, &'a mut [u8])> {
    let mut places = run.iter();
    iter::from_fn(move || {
        let place = places.next()?;
        let piece = sealed.split_off_mut(..place.sealed_bytes)?;
        Some((place, piece))
    })
}

/// The part of a chunk that covers `covered`, which `range` wants.
fn within(covered: &Range<u64>, range: &Range<u64>) -> Range<usize> {
    let from = range.start.max(covered.start) - covered.start;
    let to = range.end.min(covered.end) - covered.start;
    let index = |at: u64| usize::try_from(at).expect("a chunk has 64 KiB");
    index(from)..index(to)
}

/// 1 MiB for each reader: eight columns, each with the chunk it leaves and the one it enters.
const HELD_CHUNKS: usize = 16;

/// Opened chunks by their count in the file, the least recently used first. Without the cache every page would open its chunk
/// again, since several columns are read in turn. The chunks are so few that a search is no slower than a map.
#[derive(Default)]
struct ChunkCache(Mutex<Vec<(u32, Bytes)>>);

impl ChunkCache {
    fn get(&self, counter: u32) -> Option<Bytes> {
        let mut held = self.lock();
        let at = held.iter().position(|(chunk, _)| *chunk == counter)?;
        held[at..].rotate_left(1);
        held.last().map(|(_, bytes)| bytes.clone())
    }

    /// Holds a chunk, in place of the one that was not used for longest.
    fn put(&self, counter: u32, bytes: Bytes) {
        let mut held = self.lock();
        // Two threads may have opened the same chunk.
        if held.iter().any(|(chunk, _)| *chunk == counter) {
            return;
        }
        if held.len() == HELD_CHUNKS {
            held.remove(0);
        }
        held.push((counter, bytes));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u32, Bytes)>> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let cache = ChunkCache::default();
        let bytes = |n: u32| Bytes::from(n.to_le_bytes().to_vec());
        (0..16).for_each(|n| cache.put(n, bytes(n)));
        assert_eq!(cache.get(0), Some(bytes(0)));
        cache.put(16, bytes(16));
        cache.put(16, bytes(16));
        let left: Vec<u32> = (0..20).filter(|n| cache.get(*n).is_some()).collect();
        assert_eq!(left, [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
        for n in left {
            assert_eq!(cache.get(n), Some(bytes(n)));
        }
    }
}

//! Reads the content of a chunk file, in any order.

use std::{
    io, iter,
    ops::Range,
    sync::{Arc, Once},
};

use bytes::Bytes;

use super::{
    cache::ChunkCache,
    layout::{ChunkPosition, Layout, RUN_CHUNKS, read_bytes, read_run},
    parity,
    seal::ChunkKey,
};
use crate::files::File;

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

/// Reads the content of a chunk file. Holds the file open, and the 16 chunks that were used last; all clones share them.
///
/// A chunk that does not open is rebuilt from its parity each time it is read; nothing on disk is changed.
#[derive(Clone, Debug)]
pub struct ChunkReader(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    file: File,
    key: ChunkKey,
    layout: Arc<Layout>,
    cache: ChunkCache,
    /// Logs damage once for each reader.
    said: Once,
}

impl ChunkReader {
    pub(super) fn new(file: File, key: ChunkKey, layout: Arc<Layout>) -> Self {
        let (cache, said) = (ChunkCache::default(), Once::new());
        Self(Arc::new(Opened { file, key, layout, cache, said }))
    }

    /// Plaintext bytes of a part; 0 if there is no such part.
    pub fn part_bytes(&self, part: usize) -> u64 {
        self.0.layout.part_bytes(part).unwrap_or_default()
    }

    /// Some bytes of a part. No copy is made if they lie in one chunk; then they keep that chunk (64 KiB) in memory.
    ///
    /// # Errors
    /// If a chunk that holds some of them is damaged or cannot be read, or the part does not have them.
    pub fn read(&self, part: usize, range: Range<u64>) -> Result<Bytes, ChunkReadError> {
        let part_bytes = self.0.layout.part_bytes(part);
        if range.start > range.end || part_bytes.is_none_or(|bytes| range.end > bytes) {
            return Err(ChunkReadError::Outside { part });
        }
        let places: Vec<ChunkPosition> = self.0.layout.holding(part, &range).collect();
        match &places[..] {
            [] => Ok(Bytes::new()),
            [place] => {
                let chunk = self.0.chunk(place)?;
                Ok(chunk.slice(within(&place.covers(), &range)))
            }
            places => self.0.read_across(places, &range),
        }
    }

    /// The chunks that do not open or cannot be read, as (part, chunk in the part). Reads everything, as it is on disk.
    pub fn damaged(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.damaged_places().map(|place| place.named())
    }

    /// How many chunks are damaged, and how many of those are not lost. Reads everything.
    pub fn check(&self) -> ChunkCheck {
        self.damaged_places().fold(ChunkCheck::default(), |check, place| ChunkCheck {
            damaged: check.damaged + 1,
            rebuilt: check.rebuilt + u64::from(self.0.rebuild(&place).is_ok()),
        })
    }

    fn damaged_places(&self) -> impl Iterator<Item = ChunkPosition> + '_ {
        self.0.layout.runs().flat_map(|run| self.0.damaged_in(&run))
    }
}

impl Opened {
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
            let missing = after.iter().take_while(|place| !self.cache.holds(place.id.counter));
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
            let (hour, number) = (file.hour.epoch_hours(), file.number);
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

/// Each chunk of a run with its bytes.
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

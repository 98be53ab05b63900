//! Where each chunk lies: all of it follows from the lengths of the parts.

use std::{io, ops::Range};

use super::{
    parity,
    seal::{ChunkId, TAG_BYTES},
};
use crate::{
    envelope::header::FILE_HEADER_BYTES,
    files::{self, File},
};

/// Plaintext bytes of a chunk, but for a part's last. Part of the format. Small in tests, which want many chunks.
pub(super) const CHUNK_BYTES: usize = if cfg!(test) { 1024 } else { 64 * 1024 };
/// Bytes of one copy of the tail.
pub(super) const TAIL_BYTES: usize = 512;
/// Chunks read at once at most.
pub(super) const RUN_CHUNKS: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkPosition {
    pub(super) id: ChunkId,
    pub(super) offset: u64,
    /// Its bytes on disk, tag included.
    pub(super) sealed_bytes: usize,
}

impl ChunkPosition {
    /// What it covers of its part.
    pub(super) fn covers(&self) -> Range<u64> {
        let start = u64::from(self.id.index) * CHUNK_BYTES as u64;
        start..start + (self.sealed_bytes - TAG_BYTES) as u64
    }

    /// Its part, and its number there.
    pub(super) const fn named(&self) -> (usize, u32) {
        (self.id.part as usize, self.id.index)
    }
}

#[derive(Clone, Copy, Debug)]
struct Part {
    number: u8,
    bytes: u64,
    chunks: u32,
    first_chunk: u32,
    offset: u64,
}

impl Part {
    fn place(&self, index: u32) -> ChunkPosition {
        let before = u64::from(index) * CHUNK_BYTES as u64;
        let is_last = index + 1 == self.chunks;
        let id = ChunkId { counter: self.first_chunk + index, part: self.number, index, is_last };
        let bytes =
            usize::try_from(self.bytes - before).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let offset = self.offset + before + u64::from(index) * TAG_BYTES as u64;
        ChunkPosition { id, offset, sealed_bytes: bytes + TAG_BYTES }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Layout {
    parts: Vec<Part>,
    pub(super) chunks: u32,
    /// Where the parity of the first stripe starts.
    parity_offset: u64,
}

impl Layout {
    /// For parts of these lengths; none if no file can be so long.
    pub(super) fn new(parts: &[u64]) -> Option<Self> {
        let (mut chunks, mut offset) = (0_u32, FILE_HEADER_BYTES);
        let mut placed = Vec::with_capacity(parts.len());
        for (number, &bytes) in (0..).zip(parts) {
            let count = u32::try_from(bytes.div_ceil(CHUNK_BYTES as u64)).ok()?;
            placed.push(Part { number, bytes, chunks: count, first_chunk: chunks, offset });
            chunks = chunks.checked_add(count)?;
            let tags = u64::from(count) * TAG_BYTES as u64;
            offset = offset.checked_add(bytes)?.checked_add(tags)?;
        }
        // Parities are a part of what the chunks take, and tails are few bytes.
        offset.checked_mul(2)?.checked_add(2 * TAIL_BYTES as u64)?;
        Some(Self { parts: placed, chunks, parity_offset: offset })
    }

    /// The least bytes that the file has. To be compared with its length first: the other methods take time in proportion to
    /// the chunks, and a forged tail may claim four billion.
    pub(super) const fn least_bytes(&self) -> u64 {
        self.parity_offset + 2 * TAIL_BYTES as u64
    }

    pub(super) fn file_bytes(&self) -> u64 {
        let parity_end = self.parities().last().map_or(self.parity_offset, |range| range.end);
        parity_end + 2 * TAIL_BYTES as u64
    }

    /// Where the parity of each stripe lies, in order. Computed at each call: a file has few stripes, and nearly all are as long as
    /// a chunk can be.
    pub(super) fn parities(&self) -> impl Iterator<Item = Range<u64>> {
        let mut start = self.parity_offset;
        (0..parity::stripes(self.chunks)).map(move |stripe| {
            let longest = self.stripe(stripe).map(|place| place.sealed_bytes as u64).max();
            // A stripe's parity is no longer than one of its chunks: twice what they take fits.
            let end = start + longest.unwrap_or_default();
            std::mem::replace(&mut start, end)..end
        })
    }

    pub(super) fn stripe(&self, stripe: u32) -> impl Iterator<Item = ChunkPosition> {
        parity::members(stripe, self.chunks).map(|counter| self.chunk(counter))
    }

    /// The chunk with this count, which must be one of the file's.
    fn chunk(&self, counter: u32) -> ChunkPosition {
        let part = self.parts.partition_point(|part| part.first_chunk <= counter);
        // Parts without chunks begin where the next begins: the last that begins there has the chunk.
        let part = &self.parts[part - 1];
        part.place(counter - part.first_chunk)
    }

    /// Plaintext bytes of a part; none if there is no such part.
    pub(super) fn part_bytes(&self, part: usize) -> Option<u64> {
        self.parts.get(part).map(|part| part.bytes)
    }

    /// The chunks that hold this range of a part, in order; none if the range is empty or does not lie in the part.
    pub(super) fn holding(
        &self,
        part: usize,
        range: &Range<u64>,
    ) -> impl ExactSizeIterator<Item = ChunkPosition> + use<> {
        let part = self.parts.get(part).copied();
        let part = part.filter(|part| !range.is_empty() && range.end <= part.bytes);
        let chunk = |at: u64| {
            u32::try_from(at / CHUNK_BYTES as u64).expect("a part has fewer than 2^32 chunks")
        };
        let indices = part.map_or(0..0, |_| chunk(range.start)..chunk(range.end - 1) + 1);
        indices.map(move |index| part.expect("else there are no indices").place(index))
    }

    /// All chunks, in runs that lie together and can be read at once.
    pub(super) fn runs(&self) -> impl Iterator<Item = Vec<ChunkPosition>> {
        let mut places = self
            .parts
            .iter()
            .flat_map(|part| self.holding(usize::from(part.number), &(0..part.bytes)));
        std::iter::from_fn(move || {
            let run: Vec<_> = places.by_ref().take(RUN_CHUNKS).collect();
            (!run.is_empty()).then_some(run)
        })
    }
}

/// Reads chunks that lie together, as they are on disk.
pub(super) fn read_run(file: &File, run: &[ChunkPosition]) -> io::Result<Vec<u8>> {
    let start = run.first().map_or(0, |place| place.offset);
    let bytes: usize = run.iter().map(|place| place.sealed_bytes).sum();
    read_bytes(file, start..start + bytes as u64)
}

/// Reads exactly these bytes, no more than a run of chunks has.
pub(super) fn read_bytes(file: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let bytes = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut sealed = vec![0; bytes];
    files::read_exact_at(file, &mut sealed, range.start)?;
    Ok(sealed)
}

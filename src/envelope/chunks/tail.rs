//! The tail of a chunk file. Both copies are the same.
//!
//! ```text
//! 0     8  magic "DDCHTAIL"
//! 8     1  number of parts, 1 to 16
//! 9     1  zero
//! 10    2  bytes of the note, up to 256, little endian
//! 12    4  number of chunks in the file
//! 16  128  plaintext bytes of each part, 8 each; zero for parts that are not there
//! 144 256  note, then zeros
//! 400  32  root of the hash tree over the chunks and the parities
//! 432  60  zero
//! 492  16  tag: AES-256-GCM of nothing, with bytes 0..492 authenticated
//! 508   4  CRC-32 of (salt, bytes 0..508): detects damage without a key
//! ```

use crc32fast::Hasher;

use super::{
    layout::{Layout, TAIL_BYTES},
    merkle::Hash,
    seal::{ChunkKey, TAG_BYTES},
};
use crate::envelope::frame::checksum;

pub(super) const NOTE_BYTES_MAX: usize = 256;
pub(super) const PARTS_MAX: usize = 16;

const MAGIC: &[u8; 8] = b"DDCHTAIL";
const PARTS_AT: usize = 16;
const NOTE_AT: usize = PARTS_AT + 8 * PARTS_MAX;
const ROOT_AT: usize = NOTE_AT + NOTE_BYTES_MAX;
const TAG_AT: usize = CRC_AT - TAG_BYTES;
const CRC_AT: usize = TAIL_BYTES - 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Plaintext bytes of each part.
    pub(super) parts: Vec<u64>,
    /// What the caller wants to know without a key.
    pub(super) note: Vec<u8>,
    /// Root of the hash tree over the chunks and the parities.
    pub(super) root: Hash,
}

impl Tail {
    /// One copy, as it lies on disk. The parts and the note must be within their bounds.
    pub(super) fn encode(&self, chunks: u32, key: &ChunkKey, seed: &Hasher) -> [u8; TAIL_BYTES] {
        let mut bytes = self.body(chunks);
        let tag = key.tail_tag(&bytes[..TAG_AT]);
        bytes[TAG_AT..CRC_AT].copy_from_slice(&tag);
        let crc = checksum(seed, &bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn body(&self, chunks: u32) -> [u8; TAIL_BYTES] {
        let mut bytes = [0; TAIL_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = u8::try_from(self.parts.len()).expect("at most 16 parts");
        let note_bytes = u16::try_from(self.note.len()).expect("a note of at most 256 bytes");
        bytes[10..12].copy_from_slice(&note_bytes.to_le_bytes());
        bytes[12..PARTS_AT].copy_from_slice(&chunks.to_le_bytes());
        for (place, part) in bytes[PARTS_AT..NOTE_AT].chunks_exact_mut(8).zip(&self.parts) {
            place.copy_from_slice(&part.to_le_bytes());
        }
        bytes[NOTE_AT..NOTE_AT + self.note.len()].copy_from_slice(&self.note);
        bytes[ROOT_AT..ROOT_AT + self.root.len()].copy_from_slice(&self.root);
        bytes
    }

    /// Reads one copy, and where its chunks lie; none if it is damaged, or of another file.
    pub(super) fn decode(bytes: &[u8; TAIL_BYTES], seed: &Hasher) -> Option<(Self, Layout)> {
        if bytes[CRC_AT..] != checksum(seed, &bytes[..CRC_AT]).to_le_bytes() || !is_tail(bytes) {
            return None;
        }
        let (count, note_bytes) =
            (usize::from(bytes[8]), u16::from_le_bytes([bytes[10], bytes[11]]));
        let (words, _) = bytes[PARTS_AT..NOTE_AT].as_chunks::<8>();
        let parts: Vec<u64> =
            words.get(..count)?.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let note = bytes[NOTE_AT..ROOT_AT].get(..usize::from(note_bytes))?.to_vec();
        let root = *bytes[ROOT_AT..].first_chunk()?;
        let (tail, layout) = (Self { note, root, parts: parts.clone() }, Layout::new(&parts)?);
        // Written back it must be the same: what has no meaning is zero, and the number of chunks is the parts'.
        let is_same = count > 0 && tail.body(layout.chunks)[..TAG_AT] == bytes[..TAG_AT];
        is_same.then_some((tail, layout))
    }
}

/// Whether these bytes were meant as a tail, damaged or not.
pub(super) fn is_tail(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn is_sealed_with(bytes: &[u8; TAIL_BYTES], key: &ChunkKey) -> bool {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&bytes[TAG_AT..CRC_AT]);
    key.is_tail_tag(&bytes[..TAG_AT], tag)
}

//! A sealed segment on disk: the format's parts inside an encrypted chunk file, and the note that needs no key.
//!
//! ```text
//! note     version (1 byte, 1), flags (1 bit: has a predecessor), zero (2), records (8), first and last instant (8, 8),
//!          predecessor: hour (4), number (4), link (32); little endian
//! link     SHA-256("dispatchd sealed 1", hour, number, root, note)
//! ```
//!
//! The root is the Merkle root over the file's encrypted chunks ([`crate::envelope::ChunkFile`]). Each sealed segment
//! names the link of the segment sealed before it, so the sealed segments form a chain. If a segment is removed or replaced
//! while its hour is alive, its successor reveals that. An expired segment is missing too, but its name shows that it was
//! due.
//!
//! Root and note are authenticated under the hour's key, and anybody can recompute the root without a key. Neither reveals
//! a handle: the chunks are ciphertext, and the two instants lie in the hour that the file's name shows.

use std::{io, ops::Range, path::Path, sync::Arc};

use aws_lc_rs::digest;
use bytes::{Buf as _, BufMut as _, Bytes};

use crate::{
    clock::{Hour, Timestamp},
    envelope::{ChunkFile, ChunkReadError, ChunkReader, ChunkWriter, Keyring},
    query_log::{
        catalog::Segment,
        segment::{PartError, PartSink, PartSource, Sealed},
        segment_error::SegmentError,
        segment_name::SegmentId,
    },
};

/// The purpose of a sealed segment's chunks in the derivation of their keys.
pub(crate) const PURPOSE: u8 = 2;
const VERSION: u8 = 1;
const HAS_PREDECESSOR: u8 = 1;
const NOTE_BYTES: usize = 68;

/// A hash that identifies a sealed segment with its content.
pub(crate) type Link = [u8; 32];

pub(crate) type ChainTip = (SegmentId, Link);

/// The part of a sealed file that is readable without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) records: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// The segment sealed before this one.
    pub(crate) predecessor: Option<ChainTip>,
}

impl Note {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut note = Vec::with_capacity(NOTE_BYTES);
        note.extend([VERSION, u8::from(self.predecessor.is_some()), 0, 0]);
        for number in [self.records, self.first.as_micros(), self.last.as_micros()] {
            note.put_u64_le(number);
        }
        if let Some((id, link)) = &self.predecessor {
            note.put_u32_le(id.hour.number());
            note.put_u32_le(id.number);
            note.extend(link);
        }
        note.resize(NOTE_BYTES, 0);
        note
    }

    pub(crate) fn decode(mut note: &[u8]) -> Option<Self> {
        let (version, flags, zero) =
            (note.try_get_u8().ok()?, note.try_get_u8().ok()?, note.try_get_u16().ok()?);
        if note.len() != NOTE_BYTES - 4
            || version != VERSION
            || flags > HAS_PREDECESSOR
            || zero != 0
        {
            return None;
        }
        let records = note.get_u64_le();
        let (first, last) = (note.get_u64_le(), note.get_u64_le());
        let (hour, number) = (Hour::from_number(note.get_u32_le()), note.get_u32_le());
        let link = note.try_into().ok()?;
        Some(Self {
            records,
            first: Timestamp::from_micros(first),
            last: Timestamp::from_micros(last),
            predecessor: (flags == HAS_PREDECESSOR).then_some((SegmentId { hour, number }, link)),
        })
    }
}

pub(crate) fn link(id: SegmentId, root: &[u8; 32], note: &[u8]) -> Link {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"dispatchd sealed 1");
    context.update(&id.hour.number().to_le_bytes());
    context.update(&id.number.to_le_bytes());
    context.update(root);
    context.update(note);
    let mut link = [0; 32];
    link.copy_from_slice(context.finish().as_ref());
    link
}

/// A sealed file with whole header and note, inspected without its key.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub(crate) file: ChunkFile,
    pub(crate) note: Note,
    pub(crate) id: SegmentId,
}

impl SealedFile {
    /// Reads header and note. `Unreadable` if they are damaged or name another segment.
    pub(crate) fn inspect(path: &Path, id: SegmentId) -> Result<Self, SegmentError> {
        let file = ChunkFile::open(path)?;
        let header = file.header();
        let has_id = (header.purpose, header.hour, header.number) == (PURPOSE, id.hour, id.number);
        let note = Note::decode(file.note()).filter(|_| has_id).ok_or(SegmentError::Unreadable)?;
        Ok(Self { file, note, id })
    }

    pub(crate) fn link(&self) -> Link {
        link(self.id, &self.file.root(), self.file.note())
    }

    pub(crate) fn reader(&self, keyring: &Keyring) -> Result<ChunkReader, SegmentError> {
        let key = keyring.get(self.id.hour).ok_or(SegmentError::NoKey)?;
        Ok(self.file.reader(&key)?)
    }
}

/// Opens a sealed segment for reading. It keeps its file open, so a reader that pauses should drop it.
pub(crate) fn open(segment: &Segment, keyring: &Keyring) -> Result<Sealed, SegmentError> {
    let file = SealedFile::inspect(&segment.path, segment.id)?;
    let sealed = Sealed::open(Arc::new(file.reader(keyring)?), segment.id.hour)?;
    if sealed.records() == file.note.records { Ok(sealed) } else { Err(SegmentError::Unreadable) }
}

impl PartSink for ChunkWriter {
    fn begin_part(&mut self) -> io::Result<()> {
        Self::begin_part(self)
    }
}

impl PartSource for ChunkReader {
    fn part_bytes(&self, part: usize) -> u64 {
        Self::part_bytes(self, part)
    }

    fn read(&self, part: usize, range: Range<u64>) -> Result<Bytes, PartError> {
        Self::read(self, part, range).map_err(|error| match error {
            ChunkReadError::Io(error) => PartError::Io(error),
            _ => PartError::Damaged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn notes_survive(records: u64, first: u64, last: u64, named: bool, hour: u32, number: u32, link: [u8; 32]) {
            let id = SegmentId { hour: Hour::from_number(hour), number };
            let note = Note {
                records,
                first: Timestamp::from_micros(first),
                last: Timestamp::from_micros(last),
                predecessor: named.then_some((id, link)),
            };
            prop_assert_eq!(Note::decode(&note.encode()), Some(note));
            prop_assert_eq!(Note::decode(&note.encode()[1..]), None);
        }
    }
}

//! A chunk file gives back what was written, or says what it cannot give back.

mod damage;
mod forgery;
mod writing;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use proptest::{collection::vec, prelude::*, sample::Index};
use tempfile::TempDir;

use super::{
    layout::{CHUNK_BYTES, TAIL_BYTES},
    seal::TAG_BYTES,
    tail::{NOTE_BYTES_MAX, PARTS_MAX},
    *,
};
use crate::{
    clock::Hour,
    envelope::{FileError, FileHeader, HourKey, frame::checksum, header::FILE_HEADER_BYTES},
    files::{Disk, tests::sim_disk::UnsyncedDisk},
};

const HEAD: usize = FILE_HEADER_BYTES as usize;
const SEALED: usize = CHUNK_BYTES + TAG_BYTES;
const NOTE: &[u8] = b"what anyone may know";

fn header(number: u32) -> FileHeader {
    FileHeader::new(2, Hour::from_number(498_728), number)
}

/// `bytes` that differ from chunk to chunk and from part to part.
fn plain(seed: usize, bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / CHUNK_BYTES + seed * 31).to_le_bytes()[0]).collect()
}

fn plains(bytes: &[usize]) -> Vec<Vec<u8>> {
    bytes.iter().enumerate().map(|(part, bytes)| plain(part, *bytes)).collect()
}

fn write_to(disk: &dyn Disk, path: &Path, key: &HourKey, parts: &[Vec<u8>]) -> ChunkSummary {
    let mut writer = ChunkWriter::create(disk.create(path).unwrap(), key, header(7)).unwrap();
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            writer.begin_part().unwrap();
        }
        writer.write_all(part).unwrap();
    }
    writer.finish(NOTE).unwrap()
}

/// A chunk file in a directory of its own.
struct Written {
    dir: TempDir,
    key: HourKey,
    parts: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Written {
    fn new(bytes: &[usize]) -> Self {
        Self::with_key(HourKey::random(), bytes)
    }

    fn with_key(key: HourKey, bytes: &[usize]) -> Self {
        let (dir, parts) = (TempDir::new().unwrap(), plains(bytes));
        write_to(&UnsyncedDisk, &dir.path().join("chunks"), &key, &parts);
        let bytes = fs::read(dir.path().join("chunks")).unwrap();
        Self { dir, key, parts, bytes }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("chunks")
    }

    fn open(&self) -> Result<ChunkFile, FileError> {
        ChunkFile::open(&self.path())
    }

    fn reader(&self) -> ChunkReader {
        self.open().unwrap().reader(&self.key).unwrap()
    }

    /// Puts other bytes in place of the file.
    fn replace(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).unwrap();
    }

    /// The same, with both tails changed and their checksum made right again.
    fn replace_tails(&self, bytes: &[u8], change: impl Fn(&mut [u8])) {
        let seed = self.open().unwrap().header().checksum_seed();
        let mut bytes = bytes.to_vec();
        let tails = bytes.len() - 2 * TAIL_BYTES;
        for tail in bytes[tails..].chunks_exact_mut(TAIL_BYTES) {
            change(tail);
            let crc = checksum(&seed, &tail[..TAIL_BYTES - 4]).to_le_bytes();
            tail[TAIL_BYTES - 4..].copy_from_slice(&crc);
        }
        self.replace(&bytes);
    }

    /// Reads every chunk on its own; those that are refused must be `lost`, the others right. `rebuilt` are damaged too.
    fn assert_reads_all_but(&self, lost: &[(usize, u32)], rebuilt: &[(usize, u32)], context: &str) {
        let reader = self.reader();
        for (part, whole) in self.parts.iter().enumerate() {
            for (chunk, expected) in (0..).zip(whole.chunks(CHUNK_BYTES)) {
                let start = u64::from(chunk) * CHUNK_BYTES as u64;
                let read = reader.read(part, start..start + expected.len() as u64);
                if lost.contains(&(part, chunk)) {
                    let named = matches!(&read, Err(ChunkReadError::Damaged { part: p, chunk: c })
                        if (*p, *c) == (part, chunk));
                    assert!(named, "{context}: {read:?} of {part}, {chunk}");
                } else {
                    assert_eq!(read.unwrap(), expected, "{context}");
                }
            }
        }
        let mut damaged = [lost, rebuilt].concat();
        damaged.sort_unstable();
        assert_eq!(
            reader.damaged().map(|chunk| chunk.named()).collect::<Vec<_>>(),
            damaged,
            "{context}"
        );
        let check = ChunkCheck { damaged: damaged.len() as u64, rebuilt: rebuilt.len() as u64 };
        assert_eq!(reader.check(), check, "{context}");
    }
}

fn assert_shared<T: Send + Sync>(_: &T) {}

#[derive(Clone, Debug)]
struct Reading {
    part: Index,
    ends: (Index, Index),
    is_short: bool,
}

fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let reading = (any::<Index>(), any::<(Index, Index)>(), any::<bool>());
    vec(reading.prop_map(|(part, ends, is_short)| Reading { part, ends, is_short }), 1..60)
}

fn part_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(0),
        0..40 * CHUNK_BYTES,
        (0..5_usize).prop_map(|chunks| chunks * CHUNK_BYTES),
        0..3 * CHUNK_BYTES,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(
        sizes in vec(part_bytes(), 1..5),
        pieces in vec(0..3 * CHUNK_BYTES, 1..5),
        note in vec(any::<u8>(), 0..=NOTE_BYTES_MAX),
        readings in readings(),
    ) {
        let (dir, key, parts) = (TempDir::new().unwrap(), HourKey::random(), plains(&sizes));
        let path = dir.path().join("chunks");
        let mut writer =
            ChunkWriter::create(UnsyncedDisk.create(&path).unwrap(), &key, header(7)).unwrap();
        let mut piece = pieces.iter().cycle();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                writer.begin_part().unwrap();
            }
            let mut rest = &part[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*piece.next().unwrap() + 1).min(rest.len()));
                writer.write_all(now).unwrap();
                // A writer that is asked to write nothing must not take a full chunk for one that has a successor.
                prop_assert_eq!(writer.write_vectored(&[]).unwrap(), 0, "a write of nothing");
                writer.flush().unwrap();
                rest = later;
            }
        }
        let summary = writer.finish(&note).unwrap();
        let file = ChunkFile::open(&path).unwrap();
        prop_assert_eq!(file.note(), &note);
        prop_assert!(file.parts().iter().copied().eq(sizes.iter().map(|bytes| *bytes as u64)));
        prop_assert_eq!((file.header().purpose, file.header().number), (2, 7));
        prop_assert_eq!(summary, ChunkSummary { bytes: file.bytes(), root: file.root() });
        prop_assert_eq!(file.bytes(), fs::metadata(&path).unwrap().len());
        prop_assert_eq!(file.computed_root().unwrap(), file.root());
        let reader = file.reader(&key).unwrap();
        prop_assert_eq!(reader.damaged().count(), 0);
        for reading in readings {
            let part = reading.part.index(parts.len());
            let (a, b) = (reading.ends.0.index(sizes[part] + 1), reading.ends.1.index(sizes[part] + 1));
            let (from, to) = (a.min(b), a.max(b));
            let to = if reading.is_short { to.min(from + 300) } else { to };
            let read = reader.read(part, from as u64..to as u64).unwrap();
            prop_assert!(read == parts[part][from..to], "part {} {}..{}", part, from, to);
        }
        for (n, part) in parts.iter().enumerate() {
            prop_assert_eq!(reader.part_bytes(n), part.len() as u64);
            prop_assert!(reader.read(n, 0..part.len() as u64).unwrap() == part[..]);
        }
    }
}

#[test]
fn what_lies_outside_is_refused() {
    let written = Written::new(&[100, 0]);
    let reader = written.reader();
    assert_shared(&reader);
    for (part, range) in [(0, 0..101), (0, 101..101), (1, 0..1), (2, 0..0), (0, 0..u64::MAX)] {
        let read = reader.read(part, range.clone());
        assert!(matches!(read, Err(ChunkReadError::Outside { part: p }) if p == part), "{range:?}");
    }
    let backwards = std::ops::Range { start: 6, end: 5 };
    assert!(matches!(reader.read(0, backwards), Err(ChunkReadError::Outside { .. })));
    assert_eq!(reader.read(0, 100..100).unwrap(), "");
    assert_eq!((reader.part_bytes(1), reader.part_bytes(2)), (0, 0));
}

#[test]
fn small_reads_of_one_chunk_share_its_memory() {
    let written = Written::new(&[3 * CHUNK_BYTES]);
    let reader = written.reader();
    let whole = reader.read(0, 0..CHUNK_BYTES as u64).unwrap();
    let inside = reader.read(0, 10..20).unwrap();
    assert_eq!(inside.as_ptr(), whole[10..].as_ptr());
    // The rest of a chunk that a longer read began is held too.
    reader.read(0, 0..CHUNK_BYTES as u64 + 5).unwrap();
    written.replace(&[]);
    assert_eq!(
        reader.read(0, CHUNK_BYTES as u64 + 5..CHUNK_BYTES as u64 + 9).unwrap(),
        written.parts[0][CHUNK_BYTES + 5..CHUNK_BYTES + 9]
    );
    let gone = reader.read(0, 2 * CHUNK_BYTES as u64..2 * CHUNK_BYTES as u64 + 1);
    assert!(matches!(gone, Err(ChunkReadError::Io(_))));
    assert_eq!(reader.damaged().count(), 3);
}

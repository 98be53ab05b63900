//! Damage costs what it hits, and is told from a file that was never finished.

use std::{fs::OpenOptions, os::unix::fs::FileExt};

use super::*;
use crate::envelope::FrameFile;

#[test]
fn a_flipped_bit_costs_nothing() {
    let written = Written::new(&[CHUNK_BYTES + 6, 0, CHUNK_BYTES, 10]);
    // In the order in which they lie on disk.
    let chunks = [(0, 0, SEALED), (0, 1, 6 + TAG_BYTES), (2, 0, SEALED), (3, 0, 10 + TAG_BYTES)];
    let (root, tails) = (written.open().unwrap().root(), written.bytes.len() - 2 * TAIL_BYTES);
    let parity = HEAD + chunks.iter().map(|(.., bytes)| bytes).sum::<usize>();
    // Two stripes, each as long as its longest chunk.
    assert_eq!(tails - parity, SEALED + 10 + TAG_BYTES);
    let disk = OpenOptions::new().write(true).open(written.path()).unwrap();
    for at in 0..written.bytes.len() {
        let mut start = HEAD;
        let hit = chunks.iter().find(|(.., bytes)| {
            start += bytes;
            at >= HEAD && at < start
        });
        let damaged: Vec<_> = hit.map(|(part, chunk, _)| (*part, *chunk)).into_iter().collect();
        assert_eq!(damaged.is_empty(), at < HEAD || at >= parity);
        let is_in_tree = (HEAD..tails).contains(&at);
        for bit in 0..8 {
            let context = format!("bit {bit} of byte {at}");
            disk.write_all_at(&[written.bytes[at] ^ (1 << bit)], at as u64).unwrap();
            written.assert_reads_all_but(&[], &damaged, &context);
            let file = written.open().unwrap();
            assert_eq!((file.root(), file.note()), (root, NOTE), "{context}");
            assert_eq!(file.computed_root().unwrap() != root, is_in_tree, "{context}");
        }
        disk.write_all_at(&written.bytes[at..=at], at as u64).unwrap();
    }
    written.assert_reads_all_but(&[], &[], "restored");
}

/// Part 1 begins with the file's second chunk: its chunks 16, 18, 20 and 22 are one stripe.
#[test]
fn two_chunks_of_a_stripe_are_lost_and_two_side_by_side_are_not() {
    let written = Written::new(&[5, 40 * CHUNK_BYTES]);
    let place = |chunk: usize| HEAD + 5 + TAG_BYTES + chunk * SEALED;
    let mut bytes = written.bytes.clone();
    // A sector that lies across two.
    bytes[place(20) - 200..place(20) + 300].fill(0);
    written.replace(&bytes);
    written.assert_reads_all_but(&[], &[(1, 19), (1, 20)], "side by side");
    assert_eq!(written.reader().read(1, 0..40 * CHUNK_BYTES as u64).unwrap(), written.parts[1]);
    bytes[place(22)] ^= 1;
    written.replace(&bytes);
    written.assert_reads_all_but(&[(1, 20), (1, 22)], &[(1, 19)], "two of a stripe");
    bytes.copy_from_slice(&written.bytes);
    let parities = written.bytes.len() - 2 * TAIL_BYTES - 11 * SEALED;
    bytes[place(16)] ^= 1;
    // Each eight chunks make two stripes.
    bytes[parities + 5 * SEALED] ^= 1;
    written.replace(&bytes);
    written.assert_reads_all_but(&[(1, 16)], &[], "a chunk and its parity");
}

#[test]
fn a_long_read_names_the_damaged_chunk() {
    let written = Written::new(&[5, 40 * CHUNK_BYTES]);
    let mut bytes = written.bytes.clone();
    for chunk in [20, 22] {
        bytes[HEAD + 5 + TAG_BYTES + chunk * SEALED] ^= 1;
    }
    written.replace(&bytes);
    written.assert_reads_all_but(&[(1, 20), (1, 22)], &[], "flipped");
    let reader = written.reader();
    let chunk = CHUNK_BYTES as u64;
    let across = reader.read(1, 0..40 * chunk);
    assert!(matches!(across, Err(ChunkReadError::Damaged { part: 1, chunk: 20 })), "{across:?}");
    assert_eq!(reader.read(1, 0..20 * chunk).unwrap(), written.parts[1][..20 * CHUNK_BYTES]);
    assert_eq!(
        reader.read(1, 23 * chunk..40 * chunk).unwrap(),
        written.parts[1][23 * CHUNK_BYTES..]
    );
}

#[test]
fn a_file_that_is_cut_anywhere_is_short() {
    let written = Written::new(&[CHUNK_BYTES + 6, 0, CHUNK_BYTES, 10]);
    let disk = OpenOptions::new().write(true).open(written.path()).unwrap();
    for len in (0..written.bytes.len()).rev() {
        disk.set_len(len as u64).unwrap();
        let opened = written.open();
        assert!(matches!(opened, Err(FileError::Short)), "{len} bytes: {opened:?}");
    }
    // What the disk gives for pages that it never got.
    for len in [0, HEAD, written.bytes.len()] {
        written.replace(&vec![0; len]);
        assert!(matches!(written.open(), Err(FileError::Short)), "{len} zeros");
    }
    let longer = [&written.bytes[..], &written.bytes[written.bytes.len() - TAIL_BYTES..]].concat();
    written.replace(&longer);
    assert!(matches!(written.open(), Err(FileError::Damaged)));
}

#[test]
fn both_copies_damaged_is_no_crash() {
    let written = Written::new(&[10]);
    let (tail, len) = (written.bytes.len() - 2 * TAIL_BYTES, written.bytes.len());
    for (at, copy) in
        [(0, HEAD / 2), (8, HEAD / 2), (HEAD / 2 - 1, HEAD / 2), (tail + 9, TAIL_BYTES)]
    {
        let mut bytes = written.bytes.clone();
        bytes[at] ^= 1;
        bytes[at + copy] ^= 1;
        written.replace(&bytes);
        assert!(matches!(written.open(), Err(FileError::Damaged)), "byte {at} of {len}");
    }
    let mut later = written.bytes.clone();
    for copy in later[..HEAD].chunks_exact_mut(HEAD / 2) {
        copy[8] = 2;
        let crc = crc32fast::hash(&copy[..60]).to_le_bytes();
        copy[60..].copy_from_slice(&crc);
    }
    written.replace(&later);
    assert!(matches!(written.open(), Err(FileError::Version(2))));
}

#[test]
fn neither_kind_of_file_is_taken_for_the_other() {
    let written = Written::new(&[10]);
    assert!(FrameFile::open(&written.path(), None).is_err());
    let long = [7; 4096];
    for rest in [&[][..], &long, &written.bytes[HEAD..]] {
        written.replace(&[&header(7).encode()[..], rest].concat());
        assert!(matches!(written.open(), Err(FileError::Damaged)));
    }
}

#[test]
fn absurd_lengths_are_damage() {
    let written = Written::new(&[10]);
    for bytes in [u64::MAX, u64::MAX - 1024, 1 << 62, u64::from(u32::MAX) * CHUNK_BYTES as u64 + 1]
    {
        for parts in [1, 2, 16] {
            written.replace_tails(&written.bytes, |tail| {
                tail[8] = parts;
                for part in tail[16..].chunks_exact_mut(8).take(parts.into()) {
                    part.copy_from_slice(&bytes.to_le_bytes());
                }
            });
            let opened = written.open();
            assert!(matches!(opened, Err(FileError::Damaged)), "{parts} of {bytes}: {opened:?}");
            written.replace(&written.bytes);
        }
    }
    // As many as can be counted: no more of it is looked at than that the file is shorter.
    let chunks = u32::MAX - 8;
    written.replace_tails(&written.bytes, |tail| {
        tail[12..16].copy_from_slice(&chunks.to_le_bytes());
        tail[16..24].copy_from_slice(&(u64::from(chunks) * CHUNK_BYTES as u64).to_le_bytes());
    });
    let opened = written.open();
    assert!(matches!(opened, Err(FileError::Short)), "{opened:?}");
    written.replace(&written.bytes);
    let changes: [fn(&mut [u8]); 6] = [
        |tail| tail[8] = 0,
        |tail| tail[8] = 17,
        |tail| tail[9] = 1,
        |tail| tail[10..12].copy_from_slice(&257_u16.to_le_bytes()),
        |tail| tail[12] = 2,
        |tail| tail[480] = 1,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        written.replace_tails(&written.bytes, change);
        assert!(matches!(written.open(), Err(FileError::Damaged)), "change {n}");
        written.replace(&written.bytes);
    }
}

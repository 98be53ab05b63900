//! What lies in another place than the writer's, or says other than the writer, is refused.

use super::*;
use crate::envelope::chunks::seal::{ChunkId, ChunkKey};

/// Exchanges two chunks of the same length.
fn exchanged(bytes: &[u8], a: usize, b: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let (left, right) = bytes.split_at_mut(b);
    left[a..a + SEALED].swap_with_slice(&mut right[..SEALED]);
    bytes
}

#[test]
fn a_chunk_opens_only_in_its_own_place_and_is_rebuilt_there() {
    let written = Written::new(&[3 * CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES]);
    let at = |chunk: usize| HEAD + chunk * SEALED;
    written.replace(&exchanged(&written.bytes, at(0), at(1)));
    written.assert_reads_all_but(&[], &[(0, 0), (0, 1)], "exchanged in a part");
    written.replace(&exchanged(&written.bytes, at(3), at(4)));
    written.assert_reads_all_but(&[], &[(1, 0), (2, 0)], "exchanged between parts");
    let mut copied = written.bytes.clone();
    copied.copy_within(at(0)..at(1), at(1));
    written.replace(&copied);
    written.assert_reads_all_but(&[], &[(0, 1)], "copied");
    // The same content under the same hour's key, in the same place of another file.
    let other =
        Written::with_key(written.key.clone(), &[3 * CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES]);
    let mut foreign = written.bytes.clone();
    foreign[at(2)..at(3)].copy_from_slice(&other.bytes[at(2)..at(3)]);
    written.replace(&foreign);
    written.assert_reads_all_but(&[], &[(0, 2)], "of another file");
    assert_ne!(written.open().unwrap().computed_root().unwrap(), written.open().unwrap().root());
}

#[test]
fn a_forged_tail_is_refused_even_with_a_right_checksum() {
    let written = Written::new(&[2 * CHUNK_BYTES, CHUNK_BYTES]);
    let forged = |what: &str| {
        let opened = written.open().unwrap().reader(&written.key).map(drop);
        assert!(matches!(opened, Err(FileError::Forged)), "{what}: {opened:?}");
        written.replace(&written.bytes);
    };
    written.replace_tails(&written.bytes, |tail| tail[144] ^= 1);
    assert_ne!(written.open().unwrap().note(), NOTE);
    forged("another note");
    written.replace_tails(&written.bytes, |tail| tail[400] ^= 1);
    forged("another root");
    written.replace_tails(&written.bytes, |tail| tail[TAIL_BYTES - 20] ^= 1);
    forged("another tag");
    // Part 0 loses its last chunk, and part 1 ends the file as before.
    let short = [&written.bytes[..HEAD + SEALED], &written.bytes[HEAD + 2 * SEALED..]].concat();
    let one_less = |tail: &mut [u8]| {
        tail[12] = 2;
        tail[16..24].copy_from_slice(&(CHUNK_BYTES as u64).to_le_bytes());
    };
    written.replace_tails(&short, one_less);
    assert_eq!(written.open().unwrap().parts(), [CHUNK_BYTES as u64; 2]);
    forged("a part cut short");
    // Another hour, number or purpose.
    for at in [9, 12, 16] {
        let mut bytes = written.bytes.clone();
        for copy in bytes[..HEAD].chunks_exact_mut(HEAD / 2) {
            copy[at] ^= 1;
            let crc = crc32fast::hash(&copy[..60]).to_le_bytes();
            copy[60..].copy_from_slice(&crc);
        }
        written.replace(&bytes);
        forged("another head");
    }
    assert!(matches!(written.open().unwrap().reader(&HourKey::random()), Err(FileError::Forged)));
    let other = Written::with_key(written.key.clone(), &[2 * CHUNK_BYTES, CHUNK_BYTES]);
    let tails = written.bytes.len() - 2 * TAIL_BYTES;
    let foreign = [&written.bytes[..tails], &other.bytes[tails..]].concat();
    written.replace(&foreign);
    assert!(matches!(written.open(), Err(FileError::Damaged)));
    written.replace(&written.bytes);
    written.replace_tails(&foreign, |_| ());
    forged("the tail of another file");
}

/// The tail fixes the places, and the nonce alone would refuse most exchanges: here each word of the place by itself.
#[test]
fn a_chunk_opens_only_under_all_its_words() {
    let (hour_key, file) = (HourKey::random(), header(7));
    let key = ChunkKey::new(&hour_key, &file);
    let id = ChunkId { counter: 5, part: 1, index: 3, is_last: false };
    let mut sealed = plain(0, 40);
    let tag = key.seal(&id, &mut sealed);
    sealed.extend_from_slice(&tag);
    let opens = |key: &ChunkKey, id: ChunkId| key.open(&id, &mut sealed.clone()).is_some();
    assert!(opens(&key, id));
    let counter = ChunkId { counter: 6, ..id };
    let part = ChunkId { part: 0, ..id };
    let index = ChunkId { index: 2, ..id };
    let last = ChunkId { is_last: true, ..id };
    for other in [counter, part, index, last] {
        assert!(!opens(&key, other), "{other:?}");
    }
    let hour = FileHeader { hour: Hour::from_number(1), ..file.clone() };
    let number = FileHeader { number: 8, ..file.clone() };
    let purpose = FileHeader { purpose: 1, ..file.clone() };
    let salt = FileHeader { salt: [0; 32], ..file };
    for other in [hour, number, purpose, salt] {
        assert!(!opens(&ChunkKey::new(&hour_key, &other), id), "{other:?}");
    }
    assert!(!opens(&ChunkKey::new(&HourKey::random(), &header(7)), id));
}

//! Seals and opens chunks and tails under the key of their file.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};

use crate::envelope::{header::FileHeader, keyring_format::HourKey};

/// Bytes that AES-GCM adds.
pub(super) const TAG_BYTES: usize = 16;

const SUBKEY_LABEL: &[u8] = b"dispatchd chunks 1 ";
const AAD_LABEL: &[u8; 17] = b"dispatchd chunk 1";
const AAD_BYTES: usize = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkId {
    /// Counted from 0 through the file.
    pub(super) counter: u32,
    pub(super) part: u8,
    /// Counted from 0 in its part.
    pub(super) index: u32,
    pub(super) is_last: bool,
}

/// The key of one chunk file. `Debug` of a key prints its algorithm only.
#[derive(Debug)]
pub(super) struct ChunkKey {
    key: LessSafeKey,
    pub(super) file: FileHeader,
}

impl ChunkKey {
    pub(super) fn new(key: &HourKey, file: &FileHeader) -> Self {
        Self { key: file.subkey(key, SUBKEY_LABEL), file: file.clone() }
    }

    pub(super) fn seal(&self, id: &ChunkId, chunk: &mut [u8]) -> [u8; TAG_BYTES] {
        self.tag(nonce(0, id.counter), &self.chunk_aad(id), chunk)
    }

    /// Decrypts a chunk in place, tag last; none if it is not what was sealed there.
    pub(super) fn open<'a>(&self, id: &ChunkId, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let aad = Aad::from(self.chunk_aad(id));
        self.key.open_in_place(nonce(0, id.counter), aad, sealed).ok().map(|chunk| &*chunk)
    }

    /// The tag of a tail. A file has one tail, so its nonce is used once.
    pub(super) fn tail_tag(&self, tail: &[u8]) -> [u8; TAG_BYTES] {
        self.tag(nonce(1, 0), &self.tail_aad(tail), &mut [])
    }

    pub(super) fn is_tail_tag(&self, tail: &[u8], mut tag: [u8; TAG_BYTES]) -> bool {
        let aad = Aad::from(self.tail_aad(tail));
        self.key.open_in_place(nonce(1, 0), aad, &mut tag).is_ok()
    }

    fn tag(&self, nonce: Nonce, aad: &[u8], plain: &mut [u8]) -> [u8; TAG_BYTES] {
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), plain);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(sealed.expect("AES-GCM seals up to 64 GiB").as_ref());
        tag
    }

    /// All that places a chunk: it opens only in its own file, part and place, and only as the last if it was the last.
    fn chunk_aad(&self, id: &ChunkId) -> [u8; AAD_BYTES] {
        let mut aad = [0; AAD_BYTES];
        aad[..17].copy_from_slice(AAD_LABEL);
        aad[17] = self.file.purpose;
        aad[18] = id.part;
        aad[19] = id.is_last.into();
        let words = [self.file.hour.number(), self.file.number, id.index];
        for (place, word) in aad[20..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        aad
    }

    /// The tail, after the words that name its file. That it is no chunk's says its nonce.
    fn tail_aad(&self, tail: &[u8]) -> Vec<u8> {
        let mut aad = self.chunk_aad(&ChunkId::default()).to_vec();
        aad.extend_from_slice(tail);
        aad
    }
}

fn nonce(range: u8, counter: u32) -> Nonce {
    let mut nonce = [0; 12];
    nonce[0] = range;
    nonce[8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

//! One frame: a batch of bytes, sealed.
//!
//! ```text
//! 0   4  magic "dfrm"
//! 4   1  kind: 1 content, 2 end of the file (nothing follows)
//! 5   3  zero
//! 8   4  length of the body, tag included
//! 12  4  sequence, counted from 0 in each file
//! 16  4  items before this frame in the file
//! 20  4  items in this frame (in an end frame 0)
//! 24  4  CRC-32 of (salt, body)
//! 28  4  CRC-32 of (salt, bytes 0..28)
//! 32  n  body: AES-256-GCM, tag last
//! +n  4  length of the whole frame, so that a file can be read from its end
//! ```
//!
//! The checksums distinguish a torn tail from damage without any key. The key is HKDF-SHA256(hour's key, salt of the file), new
//! for each file, so the sequence serves as nonce: no two frames of one key share it. An end frame has its own range of
//! nonces: recovery writes one with the sequence of a frame that was perhaps torn, and that frame may be kept aside.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use crc32fast::Hasher;

use super::{header::FileHeader, keyring_format::HourKey};
use crate::limits;

/// Begins every frame; a reader searches for it behind damage.
pub(super) const MAGIC: &[u8; 4] = b"dfrm";
const TAG_BYTES: usize = 16;
pub(super) const HEADER_BYTES: usize = 32;
pub(super) const TRAILER_BYTES: usize = 4;
const AAD_BYTES: usize = 40;
const BODY_BYTES_MAX: usize = limits::LOG_FRAME_BYTES_MAX + TAG_BYTES;

/// Keeps the subkeys of frames apart from those of chunks.
const SUBKEY_LABEL: &[u8] = b"dispatchd frames 1 ";

/// Bytes that a frame adds to its content.
pub(super) const FRAME_OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES + TRAILER_BYTES;
pub(super) const FRAME_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX + TRAILER_BYTES;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// It holds items.
    Content,
    /// It says that the file is finished.
    End,
}

/// What can be known of a frame without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What it is for.
    pub kind: FrameKind,
    /// Bytes of its body, tag included.
    pub body_bytes: u32,
    /// Its place in the file, from 0.
    pub sequence: u32,
    /// Items before it in the file.
    pub first_item: u32,
    /// Items in it.
    pub items: u32,
    /// Checksum of its body.
    pub body_crc: u32,
}

impl FrameHeader {
    /// Bytes of the whole frame.
    pub fn frame_bytes(&self) -> u64 {
        u64::from(self.body_bytes) + (HEADER_BYTES + TRAILER_BYTES) as u64
    }

    fn encode(&self, seed: &Hasher) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = match self.kind {
            FrameKind::Content => 1,
            FrameKind::End => 2,
        };
        let words = [self.body_bytes, self.sequence, self.first_item, self.items, self.body_crc];
        for (place, word) in bytes[8..28].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let crc = checksum(seed, &bytes[..28]);
        bytes[28..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a frame's header; none if these bytes are not one, or not one of this file.
    pub(super) fn decode(bytes: &[u8], seed: &Hasher) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        if !bytes.starts_with(MAGIC) || bytes[5..8] != [0; 3] {
            return None;
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if word(28) != checksum(seed, &bytes[..28]) {
            return None;
        }
        let kind = match bytes[4] {
            1 => FrameKind::Content,
            2 => FrameKind::End,
            _ => return None,
        };
        let body_bytes = word(8);
        let fits = (TAG_BYTES..=BODY_BYTES_MAX).contains(&(body_bytes as usize));
        fits.then(|| Self {
            kind,
            body_bytes,
            sequence: word(12),
            first_item: word(16),
            items: word(20),
            body_crc: word(24),
        })
    }

    fn nonce(&self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = matches!(self.kind, FrameKind::End).into();
        nonce[8..].copy_from_slice(&self.sequence.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

/// A checksum that starts from the file's salt.
pub(super) fn checksum(seed: &Hasher, bytes: &[u8]) -> u32 {
    let mut hasher = seed.clone();
    hasher.update(bytes);
    hasher.finalize()
}

/// Everything a frame says in the clear, so that none of it can be changed: a frame opens only in its own place.
fn aad(file: &FileHeader, frame: &FrameHeader) -> [u8; AAD_BYTES] {
    let mut aad = [0; AAD_BYTES];
    aad[..17].copy_from_slice(b"dispatchd frame 1");
    aad[17] = file.purpose;
    aad[18] = matches!(frame.kind, FrameKind::End).into();
    let words = [file.hour.number(), file.number, frame.sequence, frame.first_item, frame.items];
    for (place, word) in aad[20..].chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    aad
}

/// Seals frames of one file, in order. `Debug` of a key prints its algorithm only.
#[derive(Debug)]
pub struct FrameSealer {
    key: LessSafeKey,
    seed: Hasher,
    file: FileHeader,
    sequence: u32,
    items: u32,
}

impl FrameSealer {
    /// For a new file.
    pub fn new(key: &HourKey, file: &FileHeader) -> Self {
        Self::resume(key, file, 0, 0)
    }

    /// For a file that already has frames. Only to end it: sealing content with a sequence that was used before would
    /// use its nonce twice.
    pub fn resume(key: &HourKey, file: &FileHeader, sequence: u32, items: u32) -> Self {
        let (key, seed) = (file.subkey(key, SUBKEY_LABEL), file.checksum_seed());
        Self { key, seed, file: file.clone(), sequence, items }
    }

    /// Whether the counters can count another frame of `items`; if not, a new file is due.
    pub fn has_room(&self, items: u32) -> bool {
        self.sequence < u32::MAX - 1 && self.items.checked_add(items).is_some()
    }

    /// Appends a frame of `items` items to `out`.
    ///
    /// # Panics
    /// If `content` is longer than [`limits::LOG_FRAME_BYTES_MAX`], or the counters cannot count `items` more.
    pub fn seal(&mut self, out: &mut Vec<u8>, items: u32, content: &[u8]) {
        assert!(content.len() <= limits::LOG_FRAME_BYTES_MAX, "a frame is bounded");
        assert!(self.has_room(items), "the counters of a file are bounded");
        self.push(out, FrameKind::Content, items, content);
        self.sequence += 1;
        self.items += items;
    }

    /// Appends the frame that says: nothing follows. The same bytes each time for the same file, so that writing it
    /// again after a crash does not use a nonce for two texts.
    pub fn seal_end(&mut self, out: &mut Vec<u8>) {
        self.push(out, FrameKind::End, 0, &[]);
    }

    fn push(&self, out: &mut Vec<u8>, kind: FrameKind, items: u32, content: &[u8]) {
        let (sequence, first_item) = (self.sequence, self.items);
        let body_bytes = u32::try_from(content.len() + TAG_BYTES).expect("a frame is bounded");
        let mut header = FrameHeader { kind, body_bytes, sequence, first_item, items, body_crc: 0 };
        let start = out.len();
        out.reserve(content.len() + FRAME_OVERHEAD_BYTES);
        out.extend_from_slice(&[0; HEADER_BYTES]);
        out.extend_from_slice(content);
        let body = &mut out[start + HEADER_BYTES..];
        let aad = Aad::from(aad(&self.file, &header));
        let tag = self.key.seal_in_place_separate_tag(header.nonce(), aad, body);
        out.extend_from_slice(tag.expect("AES-GCM seals up to 64 GiB").as_ref());
        header.body_crc = checksum(&self.seed, &out[start + HEADER_BYTES..]);
        out[start..start + HEADER_BYTES].copy_from_slice(&header.encode(&self.seed));
        let whole = u32::try_from(header.frame_bytes()).expect("a frame is bounded");
        out.extend_from_slice(&whole.to_le_bytes());
    }
}

/// Opens frames of one file.
#[derive(Debug)]
pub struct FrameOpener {
    key: LessSafeKey,
    file: FileHeader,
}

impl FrameOpener {
    /// For the file with this head.
    pub fn new(key: &HourKey, file: &FileHeader) -> Self {
        Self { key: file.subkey(key, SUBKEY_LABEL), file: file.clone() }
    }

    /// Decrypts `body` in place; none if it is not what was sealed there.
    pub fn open<'a>(&self, frame: &FrameHeader, body: &'a mut [u8]) -> Option<&'a [u8]> {
        let aad = Aad::from(aad(&self.file, frame));
        self.key.open_in_place(frame.nonce(), aad, body).ok().map(|content| &*content)
    }
}

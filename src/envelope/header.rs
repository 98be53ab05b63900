//! The head of a file of frames, and of a chunk file.
//!
//! ```text
//! 0   8  magic "DDFRAMES" or "DDCHUNKS"
//! 8   1  version, 1
//! 9   1  purpose: what the file holds; part of the subkey
//! 10  2  zero
//! 12  4  hour, little endian
//! 16  4  file number within the hour
//! 20 32  salt of the subkey
//! 52  8  zero
//! 60  4  CRC-32 of bytes 0..60
//! 64 64  the same again: without the salt nothing in the file can be read, so it must survive a flipped bit
//! ```

use std::io;

use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    hkdf,
};
use crc32fast::Hasher;

use super::keyring_format::HourKey;
use crate::{clock::Hour, ids::fill_random};

const VERSION: u8 = 1;
const COPY_BYTES: usize = 64;

/// The first bytes of a file of frames, which grows.
pub(super) const FRAMES: &[u8; 8] = b"DDFRAMES";
/// The first bytes of a chunk file, which is written once.
pub(super) const CHUNKS: &[u8; 8] = b"DDCHUNKS";

/// Bytes before the first frame or chunk.
pub const FILE_HEADER_BYTES: u64 = 2 * COPY_BYTES as u64;

/// What a file of frames or of chunks says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// What the file holds.
    pub purpose: u8,
    /// The hour whose key opens it.
    pub hour: Hour,
    /// Which file of that hour.
    pub number: u32,
    /// Makes the subkey fresh, so that frames and chunks can be counted from zero.
    pub salt: [u8; 32],
}

/// Why a file of frames or of chunks cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refuses.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no whole head, or a chunk file has no whole tail: the file was being written when the process or the
    /// machine stopped, or it was cut.
    #[error("the file ends within its head or before its tail")]
    Short,
    /// Both copies of the head or of the tail are damaged, or it is no such file.
    #[error("both copies of the file's head or tail are damaged")]
    Damaged,
    /// Written by a later version of this program.
    #[error("format version {0} is not known to this program")]
    Version(u8),
    /// The tail of a chunk file was not sealed with this key: it was changed, or the key is another hour's.
    #[error("the file's tail does not match its key")]
    Forged,
}

impl FileHeader {
    /// The head of a new file, with a fresh salt.
    pub fn new(purpose: u8, hour: Hour, number: u32) -> Self {
        let mut salt = [0; 32];
        fill_random(&mut salt);
        Self { purpose, hour, number, salt }
    }

    /// The bytes at the start of a file of frames.
    pub fn encode(&self) -> [u8; FILE_HEADER_BYTES as usize] {
        self.encode_as(FRAMES)
    }

    /// The bytes at the start of a file with this magic.
    pub(super) fn encode_as(&self, magic: &[u8; 8]) -> [u8; FILE_HEADER_BYTES as usize] {
        let mut copy = [0; COPY_BYTES];
        copy[..8].copy_from_slice(magic);
        copy[8] = VERSION;
        copy[9] = self.purpose;
        copy[12..16].copy_from_slice(&self.hour.number().to_le_bytes());
        copy[16..20].copy_from_slice(&self.number.to_le_bytes());
        copy[20..52].copy_from_slice(&self.salt);
        let crc = crc32fast::hash(&copy[..60]);
        copy[60..].copy_from_slice(&crc.to_le_bytes());
        let mut both = [0; FILE_HEADER_BYTES as usize];
        both.as_chunks_mut().0.fill(copy);
        both
    }

    /// Reads the first bytes of a file with this magic; any other magic is damage.
    pub(super) fn decode(magic: &[u8; 8], bytes: &[u8]) -> Result<Self, FileError> {
        // A file that ends within its head has nothing to read, even if the first copy is whole.
        let bytes = bytes.get(..FILE_HEADER_BYTES as usize).ok_or(FileError::Short)?;
        let (copies, _) = bytes.as_chunks::<COPY_BYTES>();
        for copy in copies {
            match decode_copy(magic, copy) {
                Err(FileError::Damaged) => {}
                known => return known,
            }
        }
        Err(FileError::Damaged)
    }

    /// What every checksum within this file starts from. Without it, a piece of another file or a stale block of the disk
    /// would pass for a piece of this file.
    pub(super) fn checksum_seed(&self) -> Hasher {
        let mut hasher = Hasher::new();
        hasher.update(&self.salt);
        hasher
    }

    /// The key that this file alone has, from its hour's (HKDF-SHA256, RFC 5869). `label` keeps the kinds of file apart.
    pub(super) fn subkey(&self, key: &HourKey, label: &[u8]) -> LessSafeKey {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &self.salt);
        let purpose = [self.purpose];
        let info: [&[u8]; 2] = [label, &purpose];
        let unbound = salt.extract(key.bytes()).expand(&info, &AES_256_GCM).map(UnboundKey::from);
        LessSafeKey::new(unbound.expect("32 bytes are fewer than the 8,160 that HKDF-SHA256 gives"))
    }
}

fn decode_copy(magic: &[u8; 8], copy: &[u8; COPY_BYTES]) -> Result<FileHeader, FileError> {
    let (body, crc) = copy.split_at(60);
    if crc != crc32fast::hash(body).to_le_bytes() || &body[..8] != magic {
        return Err(FileError::Damaged);
    }
    if body[8] != VERSION {
        return Err(FileError::Version(body[8]));
    }
    let word = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    let mut salt = [0; 32];
    salt.copy_from_slice(&body[20..52]);
    Ok(FileHeader { purpose: body[9], hour: Hour::from_number(word(12)), number: word(16), salt })
}

//! The root key's file: one key, or two while the keyring moves from one to the other.
//!
//! ```text
//! 0   4  magic "DDRK"
//! 4   1  version, 1
//! 5   1  keys that follow, 1 or 2
//! 6   2  zero
//! 8   n  40 bytes each: id (8), key (32)
//! +n  4  CRC-32 of everything before
//! ```

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::ids::fill_random;

const MAGIC: &[u8; 4] = b"DDRK";
const VERSION: u8 = 1;
const KEY_BYTES: usize = 40;

/// A root key with the id by which a keyring names it. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(super) struct RootKey {
    id: [u8; 8],
    key: [u8; 32],
}

impl RootKey {
    pub(super) fn random() -> Self {
        let mut root = Self { id: [0; 8], key: [0; 32] };
        fill_random(&mut root.id);
        fill_random(&mut root.key);
        root
    }

    pub(super) const fn id(&self) -> &[u8; 8] {
        &self.id
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(…)")
    }
}

pub(super) fn encode(roots: &[&RootKey]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(12 + roots.len() * KEY_BYTES));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[VERSION, u8::try_from(roots.len()).unwrap_or(u8::MAX), 0, 0]);
    for root in roots {
        bytes.extend_from_slice(&root.id);
        bytes.extend_from_slice(&root.key);
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads the file's bytes; `None` if they are damaged.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<RootKey>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let (head, rows) = body.split_first_chunk::<8>()?;
    let (rows, rest) = rows.as_chunks::<KEY_BYTES>();
    let whole = *crc == crc32fast::hash(body).to_le_bytes() && rest.is_empty();
    if !whole
        || head[..4] != *MAGIC
        || head[4] != VERSION
        || usize::from(head[5]) != rows.len()
        || rows.is_empty()
    {
        return None;
    }
    let read = |row: &[u8; KEY_BYTES]| {
        let mut root = RootKey { id: [0; 8], key: [0; 32] };
        root.id.copy_from_slice(&row[..8]);
        root.key.copy_from_slice(&row[8..]);
        root
    };
    Some(rows.iter().map(read).collect())
}

//! The keyring's bytes: {hour -> key}, sealed under a root key.
//!
//! ```text
//! 0   4  magic "DDKR"
//! 4   1  version: 3 if an hour is dated by another one, otherwise 2
//! 5   3  zero
//! 8   8  id of the root key
//! 16 12  nonce, random (a root key lives until the next prune: far fewer than 2^32 writings)
//! 28  n  AES-256-GCM of the entries: hour (4), key (32), in version 3 the hour that dates the key (4); tag (16) last
//! +n  4  CRC-32 of everything before: distinguishes damage from a wrong root key
//! ```
//!
//! Only a node of a cluster writes version 3, for hours of other nodes. So other data directories stay readable to older versions.

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::root_key::RootKey;
use crate::{clock::Hour, ids::fill_random};

const MAGIC: &[u8; 4] = b"DDKR";
/// Each hour is dated by itself.
const VERSION: u8 = 2;
const VERSION_DATED: u8 = 3;
const CLEAR_BYTES: usize = 16;
const SEALED_AT: usize = CLEAR_BYTES + NONCE_LEN;
const ENTRY_BYTES: usize = 36;
const DATED_ENTRY_BYTES: usize = 40;
const TAG_BYTES: usize = 16;

/// The key of one hour. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HourKey([u8; 32]);

/// A key with the hour that says when it expires.
#[derive(Clone, Debug)]
pub(super) struct DatedKey {
    pub(super) key: HourKey,
    pub(super) dated: Hour,
}

pub(super) type Entries = BTreeMap<Hour, DatedKey>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenError {
    /// Not what was written.
    Damaged,
    /// Written under another root key.
    WrongRootKey,
}

impl HourKey {
    pub(super) fn random() -> Self {
        let mut key = Self([0; 32]);
        fill_random(&mut key.0);
        key
    }

    /// A key that was made elsewhere.
    pub const fn of(bytes: &[u8; 32]) -> Self {
        Self(*bytes)
    }

    /// Its bytes, to seal them for another machine or to use them otherwise than for frames.
    pub fn reveal(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0)
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for another use than frames; `info` separates the uses: HKDF-SHA256 (RFC 5869) without a
    /// salt. It can be derived again as long as the hour's key exists, and not after that.
    pub fn derive(&self, info: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.0);
        let filled = pseudorandom
            .expand(&[info], hkdf::HKDF_SHA256)
            .and_then(|expanded| expanded.fill(key.as_mut()));
        filled.expect("32 bytes are fewer than the 8,160 that HKDF-SHA256 gives");
        key
    }
}

impl fmt::Debug for HourKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HourKey(…)")
    }
}

fn cipher(root: &RootKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, root.bytes()).expect("a root key has 32 bytes"))
}

pub(super) fn seal(entries: &Entries, root: &RootKey) -> Vec<u8> {
    let is_dated = entries.iter().any(|(hour, it)| it.dated != *hour);
    let version = if is_dated { VERSION_DATED } else { VERSION };
    let entries_bytes = entries.len() * entry_bytes(version);
    let mut bytes = Vec::with_capacity(SEALED_AT + entries_bytes + TAG_BYTES + 4);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[version, 0, 0, 0]);
    bytes.extend_from_slice(root.id());
    let mut nonce = [0; NONCE_LEN];
    fill_random(&mut nonce);
    bytes.extend_from_slice(&nonce);
    // Reserved above, so no move leaves a copy of the keys behind; sealing then overwrites them in place.
    for (hour, DatedKey { key, dated }) in entries {
        bytes.extend_from_slice(&hour.number().to_le_bytes());
        bytes.extend_from_slice(key.bytes());
        if is_dated {
            bytes.extend_from_slice(&dated.number().to_le_bytes());
        }
    }
    let (clear, sealed) = bytes.split_at_mut(SEALED_AT);
    let aad = Aad::from(&clear[..CLEAR_BYTES]);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = cipher(root).seal_in_place_separate_tag(nonce, aad, sealed);
    let tag = tag.expect("AES-GCM seals up to 64 GiB");
    bytes.extend_from_slice(tag.as_ref());
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// Opens a keyring with whichever of `roots` it was written under, and says which.
pub(super) fn open<'a>(
    bytes: &[u8],
    roots: &'a [RootKey],
) -> Result<(Entries, &'a RootKey), OpenError> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(OpenError::Damaged)?;
    let whole = body.len() >= SEALED_AT + TAG_BYTES && *crc == crc32fast::hash(body).to_le_bytes();
    if !whole || !body.starts_with(MAGIC) || !matches!(body[4], VERSION | VERSION_DATED) {
        return Err(OpenError::Damaged);
    }
    let entry_bytes = entry_bytes(body[4]);
    let wanted = &body[8..CLEAR_BYTES];
    let root = roots.iter().find(|root| root.id() == wanted).ok_or(OpenError::WrongRootKey)?;
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&body[CLEAR_BYTES..SEALED_AT]);
    let mut sealed = Zeroizing::new(body[SEALED_AT..].to_vec());
    let aad = Aad::from(&body[..CLEAR_BYTES]);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = cipher(root).open_in_place(nonce, aad, &mut sealed);
    let opened = opened.map_err(|_| OpenError::WrongRootKey)?;
    let entries = opened.chunks(entry_bytes).map(entry).collect::<Option<_>>();
    Ok((entries.ok_or(OpenError::Damaged)?, root))
}

const fn entry_bytes(version: u8) -> usize {
    if version == VERSION_DATED { DATED_ENTRY_BYTES } else { ENTRY_BYTES }
}

/// None if the entry is cut off.
fn entry(row: &[u8]) -> Option<(Hour, DatedKey)> {
    let hour_of = |bytes: &[u8; 4]| Hour::from_number(u32::from_le_bytes(*bytes));
    let (hour, row) = row.split_first_chunk()?;
    let (key, row) = row.split_first_chunk::<32>()?;
    let hour = hour_of(hour);
    let dated = if row.is_empty() { hour } else { hour_of(row.try_into().ok()?) };
    Some((hour, DatedKey { key: HourKey(*key), dated }))
}

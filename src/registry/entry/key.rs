//! Keys of entries.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{clock::Timestamp, ids};

/// A key that the bodies of entries are encrypted under. All nodes of a cluster have it.
///
/// A nonce is 96 random bits, so one key is good for 2^32 entries (NIST SP 800-38D, 8.3): 49,000 a second for a day.
pub struct EntryKey {
    id: u32,
    key: LessSafeKey,
}

/// The keys of entries that this node has.
pub trait EntryKeys: Send + Sync {
    /// The key for entries that are written now.
    fn newest(&self) -> Arc<EntryKey>;

    /// The key with this number. None if the node does not have it, or does not have it yet.
    fn find(&self, id: u32) -> Option<Arc<EntryKey>>;

    /// Whether the node does not have the key with this number and never gets it: it was destroyed. `rows` are those of
    /// [`RowKind::EntryKey`](crate::registry::RowKind::EntryKey), key and value, as the entry before left them.
    fn is_gone(
        &self,
        _id: u32,
        _rows: &mut dyn Iterator<Item = (&[u8], &[u8])>,
        _now: Timestamp,
    ) -> bool {
        false
    }

    /// Whether no member may write under the key with this number, by the rows of [`RowKind::Member`](crate::registry::RowKind::Member) and
    /// those of keys. All nodes must find the same for the same rows, whatever keys they have: they skip such an entry.
    fn is_void(
        &self,
        _id: u32,
        _members: &mut dyn Iterator<Item = &[u8]>,
        _rows: &mut dyn Iterator<Item = (&[u8], &[u8])>,
    ) -> bool {
        false
    }
}

impl EntryKey {
    /// The key number `id`, from its 32 bytes.
    pub fn new(id: u32, bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("a key of AES-256 has 32 bytes");
        Self { id, key: LessSafeKey::new(key) }
    }

    /// Its number.
    pub const fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn new_nonce() -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        ids::fill_random(&mut nonce);
        nonce
    }

    /// Encrypts `body` where it lies, and appends the tag. `head` is authenticated, too.
    pub(super) fn seal(&self, nonce: [u8; NONCE_LEN], head: &[u8], body: &mut Vec<u8>) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::from(head), body);
        sealed.expect("an entry is shorter than AES-GCM's limit of 64 GiB");
    }

    /// The plaintext of `body`. None if head and body were not sealed together under this key.
    pub(super) fn open(&self, nonce: [u8; NONCE_LEN], head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
        let (nonce, mut body) = (Nonce::assume_unique_for_key(nonce), body.to_vec());
        let len = self.key.open_in_place(nonce, Aad::from(head), &mut body).ok()?.len();
        body.truncate(len);
        Some(body)
    }
}

//! [`FingerprintKey`]: which account asked for whom, as 64 bits that say nothing without a key.

use aws_lc_rs::{
    cipher::{AES_128, EncryptingKey, UnboundCipherKey},
    digest::{SHA256, digest},
};
use zeroize::Zeroizing;

use crate::{
    handle::Handle,
    ids::{AccountId, fill_random},
};

/// Bytes of the key, and of a block of the cipher.
pub(super) const KEY_BYTES: usize = 16;
/// Set for e-mail addresses only: the integer of a phone number has at most 50 bits.
const EMAIL_BIT: u64 = 1 << 63;

/// A pair of account and subscriber, hashed.
pub(super) type Fingerprint = u64;

/// Makes fingerprints: the first half of AES-128 of (account, subscriber).
///
/// The cipher is a pseudorandom function of its block here, because half of its output is dropped. It needs 33 ns, and 1,000
/// blocks in one call 6 ns each; HMAC needs 281 ns. The hash of the index was rejected: it is not the same in every version
/// of its crate, and fingerprints are stored.
pub(super) struct FingerprintKey {
    key: EncryptingKey,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl FingerprintKey {
    pub(super) fn random() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill_random(bytes.as_mut());
        Self::of(bytes)
    }

    pub(super) fn of(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let key = UnboundCipherKey::new(&AES_128, bytes.as_ref()).and_then(EncryptingKey::ecb);
        Self { key: key.expect("a key of AES-128 has 16 bytes"), bytes }
    }

    /// The key's bytes, to store.
    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// Calls `each` with the fingerprint of every handle, in order. All spellings of a number have the same one, since they
    /// reach one person.
    pub(super) fn each<'a>(
        &self,
        account: AccountId,
        mut handles: impl Iterator<Item = &'a Handle>,
        mut each: impl FnMut(Fingerprint),
    ) {
        const BLOCKS: usize = 32;
        let mut blocks = [[0; KEY_BYTES]; BLOCKS];
        loop {
            let mut used = 0;
            for (block, handle) in blocks.iter_mut().zip(handles.by_ref()) {
                block[..8].copy_from_slice(&account.bits().to_le_bytes());
                block[8..].copy_from_slice(&subscriber(handle).to_le_bytes());
                used += 1;
            }
            if used == 0 {
                return;
            }
            let blocks = &mut blocks[..used];
            self.key.encrypt(blocks.as_flattened_mut()).expect("whole blocks");
            for block in blocks {
                let mut half = [0; 8];
                half.copy_from_slice(&block[..8]);
                each(Fingerprint::from_le_bytes(half));
            }
        }
    }
}

fn subscriber(handle: &Handle) -> u64 {
    match handle {
        Handle::Phone(key) => key.first_spelling().bits(),
        Handle::Email(address) => {
            let hash = digest(&SHA256, address.as_str().as_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&hash.as_ref()[..8]);
            u64::from_le_bytes(first) | EMAIL_BIT
        }
    }
}

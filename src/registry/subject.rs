//! Subjects: what an asker may know of the account behind a handle.
//!
//! A subject is a keyed function of both accounts. One asker sees the same subject for every handle of an account, and can
//! keep one thread when a contact changes handle or device. Two askers see different subjects and cannot compare them. The
//! key is made with the store and never leaves it: a subject stays the same across restarts.
//!
//! The function is `AES-256(key, x) XOR x`, where `x` is the asking account's id and then the found one's, each 8 bytes, big
//! endian. Without the key the subjects cannot be told from random ones. The block cipher alone would be invertible: whoever
//! has the key, or a stolen store and a log of subjects, would decrypt a subject to both account ids. The XOR makes it
//! one-way: the holder of the key must try account ids, of which there are 2^64.

use std::fmt;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use data_encoding::BASE64URL_NOPAD;

use crate::ids::AccountId;

const SUBJECT_CHARS: usize = 22;

/// An opaque id of an account, as one asking account sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject([u8; SUBJECT_CHARS]);

/// Makes subjects.
pub(super) struct SubjectKey(EncryptingKey);

impl SubjectKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let key = UnboundCipherKey::new(&AES_256, key).and_then(EncryptingKey::ecb);
        Self(key.expect("32 bytes are a key of AES-256"))
    }

    /// What `asking` may know of `found`.
    pub(super) fn subject(&self, asking: AccountId, found: AccountId) -> Subject {
        // Fixed lengths, so the two ids cannot be mistaken for another pair.
        let mut pair = [0; 16];
        pair[..8].copy_from_slice(&asking.bits().to_be_bytes());
        pair[8..].copy_from_slice(&found.bits().to_be_bytes());
        let mut block = pair;
        // One block, so its mode of operation is no question.
        self.0.encrypt(&mut block).expect("16 bytes are one block");
        block.iter_mut().zip(pair).for_each(|(byte, before)| *byte ^= before);
        let mut text = [0; SUBJECT_CHARS];
        BASE64URL_NOPAD.encode_mut(&block, &mut text);
        Subject(text)
    }
}

impl Subject {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_stable_for_one_asker_and_different_for_another() {
        let key = SubjectKey::new(&[7; 32]);
        let [asker, other, found] = [1, 2, 3].map(AccountId::from_bits);
        // Frozen: clients keep threads by it. The values are those of OpenSSL 3.0 (`openssl enc -aes-256-ecb -nopad` of the
        // two ids, then the XOR) and of Python's `cryptography` 48.
        assert_eq!(key.subject(asker, found).as_str(), "r3SW0cUwvF_uAXv-I2fYeA");
        let counting = SubjectKey::new(&std::array::from_fn(|at| at as u8));
        let [left, right] =
            [0xfedc_ba98_7654_3210, 0x0123_4567_89ab_cdef].map(AccountId::from_bits);
        assert_eq!(counting.subject(left, right).as_str(), "Uqd77m5qNBLKZN_T3BqWgQ");
        assert_ne!(key.subject(asker, found), key.subject(other, found));
        assert_ne!(key.subject(asker, found), key.subject(found, asker));
        assert_ne!(key.subject(asker, found), SubjectKey::new(&[8; 32]).subject(asker, found));
    }
}

//! Subjects: what an asker may know of the account behind a handle.
//!
//! A subject is a keyed hash of both accounts. One asker sees the same subject for every handle of an account, and can keep
//! one thread when a contact changes handle or device. Two askers see different subjects and cannot compare them. The key
//! is made with the store and never leaves it: a subject stays the same across restarts.

use std::fmt;

use aws_lc_rs::hmac;
use data_encoding::BASE64URL_NOPAD;

use crate::ids::AccountId;

const SUBJECT_BYTES: usize = 16;
const SUBJECT_CHARS: usize = 22;

/// An opaque id of an account, as one asking account sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject([u8; SUBJECT_CHARS]);

/// Makes subjects.
pub(super) struct SubjectKey(hmac::Key);

impl SubjectKey {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What `asking` may know of `found`.
    pub(super) fn subject(&self, asking: AccountId, found: AccountId) -> Subject {
        // Fixed lengths, so the two ids cannot be mistaken for another pair.
        let mut pair = [0; 16];
        pair[..8].copy_from_slice(&asking.bits().to_be_bytes());
        pair[8..].copy_from_slice(&found.bits().to_be_bytes());
        let tag = hmac::sign(&self.0, &pair);
        let mut text = [0; SUBJECT_CHARS];
        BASE64URL_NOPAD.encode_mut(&tag.as_ref()[..SUBJECT_BYTES], &mut text);
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
        // Frozen: clients keep threads by it.
        assert_eq!(key.subject(asker, found).as_str(), "L_h8vFJZ312kO8f1L55Lcw");
        assert_ne!(key.subject(asker, found), key.subject(other, found));
        assert_ne!(key.subject(asker, found), key.subject(found, asker));
        assert_ne!(key.subject(asker, found), SubjectKey::new(&[8; 32]).subject(asker, found));
    }
}

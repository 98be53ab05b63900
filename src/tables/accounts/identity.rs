//! Ids in a file: the service's own ids stay as they are, and foreign ids become 128 bits of their hash.
//!
//! The first 64 bits are the new id. The others stay with the row during the staging. If two foreign ids have the same
//! first 64 bits, their rows are bad, so that two people are not merged. Of files with ten million ids, one in 370,000 has
//! such a pair.

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    ids::{AccountId, DeviceId},
    limits,
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) bits: u64,
    /// None for an id of this service.
    pub(super) check: Option<[u8; 8]>,
}

impl Identity {
    /// The id of an account. None if `text` is empty or too long.
    pub(super) fn account(text: &str) -> Option<Self> {
        Self::read(text, "dispatchd account\n", |text| {
            AccountId::from_str(text).ok().map(AccountId::bits)
        })
    }

    /// The id of a device. None if `text` is empty or too long.
    pub(super) fn device(text: &str) -> Option<Self> {
        Self::read(text, "dispatchd device\n", |text| {
            DeviceId::from_str(text).ok().map(DeviceId::bits)
        })
    }

    fn read(text: &str, domain: &str, own: impl Fn(&str) -> Option<u64>) -> Option<Self> {
        if !(1..=limits::FOREIGN_ID_BYTES_MAX).contains(&text.len()) {
            return None;
        }
        if let Some(bits) = own(text) {
            return Some(Self { bits, check: None });
        }
        let mut hashed = [0; limits::FOREIGN_ID_BYTES_MAX + 24];
        let len = domain.len() + text.len();
        hashed[..domain.len()].copy_from_slice(domain.as_bytes());
        hashed[domain.len()..len].copy_from_slice(text.as_bytes());
        let hash = digest(&SHA256, &hashed[..len]);
        let (words, _) = hash.as_ref().as_chunks::<8>();
        Some(Self { bits: u64::from_be_bytes(words[0]), check: Some(words[1]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_ids_stay_and_foreign_ids_have_a_stable_hash() {
        let own = AccountId::from_bits(0x0123_4567_89ab_cdef);
        let read = Identity::account(&own.to_string()).expect("an id");
        assert!(read.bits == own.bits() && read.check.is_none());
        assert!(Identity::device(&own.to_string()).expect("a foreign id").check.is_some());

        // This value must not change: a second import of the same people must have the same ids.
        let foreign = Identity::account("customer-1").expect("a foreign id");
        assert_eq!(format!("{:016x}", foreign.bits), "f0b439d0a9e0a613");
        assert!(Identity::device("customer-1").expect("a foreign id") != foreign);
    }

    #[test]
    fn empty_and_too_long_ids_are_refused() {
        assert!(Identity::account("").is_none());
        assert!(Identity::account(&"x".repeat(128)).is_some());
        assert!(Identity::account(&"x".repeat(129)).is_none());
    }
}

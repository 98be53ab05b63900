//! Ids in a file: ours as they are, all others as 128 bits of their hash.
//!
//! 64 of them are the id. The other 64 stay with the row while it is staged, so that two foreign ids that meet in the
//! first 64 bits (of ten million, one pair in 370,000 files) are an error and do not join two people.

use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::{
    ids::{AccountId, DeviceId},
    limits,
};

/// An id of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) bits: u64,
    /// Nothing for an id of ours.
    pub(super) check: Option<u64>,
}

impl Identity {
    /// The account that `text` names; nothing if it is empty or too long.
    pub(super) fn account(text: &str) -> Option<Self> {
        Self::read(text, "dispatchd account\n", |text| {
            AccountId::from_str(text).ok().map(AccountId::bits)
        })
    }

    /// The device that `text` names; nothing if it is empty or too long.
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
        Some(Self { bits: u64::from_be_bytes(words[0]), check: Some(u64::from_be_bytes(words[1])) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_ours_stay_and_others_become_the_same_each_time() {
        let own = AccountId::from_bits(0x0123_4567_89ab_cdef);
        let read = Identity::account(&own.to_string()).expect("an id");
        assert!(read.bits == own.bits() && read.check.is_none());
        assert!(Identity::device(&own.to_string()).expect("a foreign id").check.is_some());

        // Frozen: a second import of the same people must find them.
        let foreign = Identity::account("customer-1").expect("a foreign id");
        assert_eq!(format!("{:016x}", foreign.bits), "f0b439d0a9e0a613");
        assert!(Identity::device("customer-1").expect("a foreign id") != foreign);
    }

    #[test]
    fn empty_and_overlong_ids_are_none() {
        assert!(Identity::account("").is_none());
        assert!(Identity::account(&"x".repeat(128)).is_some());
        assert!(Identity::account(&"x".repeat(129)).is_none());
    }
}

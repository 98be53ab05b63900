//! Offsets of leases: an answer says that a lease ends earlier than it does, by a secret span.
//!
//! How long an answer may be reused depends on what is left of a lease, and a lease begins with a check-in. Without an offset, an
//! asker who polls in a lease's last hours would learn the moment of the last check-in.
//!
//! The offset is `AES-256(key, x)` modulo an hour, where `x` is the device's id and the end of the lease in microseconds, each
//! 8 bytes, big endian. It is the same for the whole of one lease, so asking often averages nothing out. It differs with
//! each lease, so the offset of a lease whose end was seen tells nothing about the next one. The key is derived from the
//! key of subjects, so it outlives restarts.

use std::time::Duration;

use aws_lc_rs::{
    cipher::{AES_256, EncryptingKey, UnboundCipherKey},
    hmac,
};

use crate::{clock::Timestamp, ids::DeviceId, limits};

const INFO: &[u8] = b"dispatchd lease offset 1";

/// Makes offsets.
pub(super) struct LeaseOffsets(EncryptingKey);

impl LeaseOffsets {
    pub(super) fn new(subject_key: &[u8; 32]) -> Self {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, subject_key), INFO);
        let key = UnboundCipherKey::new(&AES_256, key.as_ref()).and_then(EncryptingKey::ecb);
        Self(key.expect("an HMAC with SHA-256 is a key of AES-256"))
    }

    /// The offset of the lease of `device` that ends at `live_until`: less than [`limits::LEASE_OFFSET_MAX`].
    pub(super) fn of(&self, device: DeviceId, live_until: Timestamp) -> Duration {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&device.bits().to_be_bytes());
        block[8..].copy_from_slice(&live_until.as_micros().to_be_bytes());
        // One block, so its mode of operation is no question.
        self.0.encrypt(&mut block).expect("16 bytes are one block");
        let micros = u128::from_be_bytes(block) % limits::LEASE_OFFSET_MAX.as_micros();
        Duration::from_micros(micros as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_stable_for_one_lease_and_spread_over_an_hour() {
        let offsets = LeaseOffsets::new(&[7; 32]);
        let at = |second| Timestamp::from_secs(1_800_000_000 + second);
        let of = |device, second| offsets.of(DeviceId::from_bits(device), at(second));
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), LeaseOffsets::new(&[8; 32]).of(DeviceId::from_bits(1), at(0)));
        // Each quarter of an hour gets a quarter of the offsets, of many devices and of many leases of one.
        for one in [|n| (n, 0), |n| (1, n)] {
            let mut quarters = [0; 4];
            for n in 0..4_000 {
                let (device, second) = one(n);
                quarters[of(device, second).as_secs() as usize / 900] += 1;
            }
            assert!(quarters.iter().all(|count| (800..1_200).contains(count)), "{quarters:?}");
        }
    }
}

//! Codes of six digits, and their hashes.

use aws_lc_rs::constant_time;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::hash_key::{Hash, HashKey, Hashed};
use crate::{
    ids::{VerificationId, random_u64},
    redacted::redacted_debug,
};

/// Digits of a code.
pub(super) const CODE_DIGITS: usize = 6;

/// Six digits that are sent to a handle. Dropping it wipes the memory.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

/// A code as the session keeps it: hashed with a key that is not in the store. Without the key, a million codes could be
/// tried in a second.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct CodeHash(Hash);

impl Code {
    pub(super) fn random() -> Self {
        // Of 2^64 values none of the million remainders is likelier than another by more than 10^-13.
        let mut random = random_u64();
        let code = Zeroizing::new(format!("{:06}", random % 1_000_000));
        random.zeroize();
        Self(code)
    }

    /// The digits. Only the message to the handle may contain them.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl CodeHash {
    /// The hash of six digits in one session; in another session the same code has another hash.
    pub(super) fn of(key: &HashKey, verification: VerificationId, digits: &str) -> Self {
        Self(key.hash(Hashed::Code, &[&verification.bits().to_be_bytes(), digits.as_bytes()]))
    }

    /// Compares in constant time, so that a timing measurement reveals no part of the hash.
    pub(super) fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

redacted_debug!(Code, CodeHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_six_digits_and_equally_likely() {
        let mut first_digits = [0u32; 10];
        for _ in 0..20_000 {
            let code = Code::random();
            assert_eq!(code.expose().len(), CODE_DIGITS);
            let digits: Vec<u32> = code.expose().chars().filter_map(|c| c.to_digit(10)).collect();
            assert_eq!(digits.len(), CODE_DIGITS);
            first_digits[digits[0] as usize] += 1;
        }
        // 2,000 each, give or take six standard deviations.
        assert!(
            first_digits.iter().all(|count| (1_745..2_255).contains(count)),
            "{first_digits:?}"
        );
    }

    #[test]
    fn a_code_matches_only_in_its_own_verification() {
        let key = HashKey::of_tests();
        let [one, other] = [1, 2].map(VerificationId::from_bits);
        let hash = |verification, code| CodeHash::of(&key, verification, code);
        assert!(hash(one, "123456").matches(&hash(one, "123456")));
        assert!(!hash(one, "123456").matches(&hash(other, "123456")));
        assert!(!hash(one, "123456").matches(&hash(one, "123457")));
    }
}

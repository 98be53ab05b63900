//! Codes of six digits, and their hashes.

use aws_lc_rs::{constant_time, hmac};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    ids::{VerificationId, fill_random, random_u64},
    redacted::redacted_debug,
};

/// Six digits that are sent to a handle. Dropping it wipes the memory.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

/// A code as the session keeps it: hashed with a key that exists only in this process. Without the key, a million codes
/// could be tried in a second.
#[derive(Clone, Copy)]
pub(super) struct CodeHash([u8; 32]);

/// The key that hashes codes and link codes.
pub(super) struct HashKey(hmac::Key);

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

impl HashKey {
    pub(super) fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        fill_random(key.as_mut());
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    /// The hash of a code in one session; in another session the same code has another hash.
    pub(super) fn code(&self, verification: VerificationId, code: &str) -> CodeHash {
        CodeHash(self.hash(&verification.bits().to_be_bytes(), code.as_bytes()))
    }

    pub(super) fn hash(&self, prefix: &[u8; 8], text: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(prefix);
        context.update(text);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

impl CodeHash {
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
            assert_eq!(code.expose().len(), 6);
            let digits: Vec<u32> = code.expose().chars().filter_map(|c| c.to_digit(10)).collect();
            assert_eq!(digits.len(), 6);
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
        let key = HashKey::random();
        let [one, other] = [1, 2].map(VerificationId::from_bits);
        assert!(key.code(one, "123456").matches(&key.code(one, "123456")));
        assert!(!key.code(one, "123456").matches(&key.code(other, "123456")));
        assert!(!key.code(one, "123456").matches(&key.code(one, "123457")));
        assert!(!key.code(one, "123456").matches(&HashKey::random().code(one, "123456")));
    }
}

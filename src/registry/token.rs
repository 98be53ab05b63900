//! Device tokens: `dd_`, the 13 digits of the device id, and 256 random bits in base64url.
//!
//! The device id is in the token so that the device is found without a second index. Only the first 128 bits of the SHA-256
//! of the secret part are kept. Nobody guesses 256 random bits, so a slow password hash would only slow down lookups.
//! Whoever reads all hashes of ten million devices still needs 2^104 trials to find a token of any of them.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::ids::{DeviceId, fill_random, parse_digits};

const ID_DIGITS: usize = 13;
const SECRET_CHARS: usize = 43;
const SECRET_BYTES: usize = 32;
const TOKEN_CHARS: usize = DeviceToken::PREFIX.len() + ID_DIGITS + SECRET_CHARS;

/// A device's token as shown to it once. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken(Zeroizing<String>);

/// What is kept of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenHash(pub(super) [u8; 16]);

/// A token as presented: which device it claims to be, and the hash of the secret that must prove it.
pub(super) struct Presented {
    pub(super) device: DeviceId,
    secret: TokenHash,
}

impl DeviceToken {
    /// What every device token begins with.
    pub const PREFIX: &str = "dd_";

    /// A new token of `device`.
    pub(super) fn issue(device: DeviceId) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        fill_random(secret.as_mut());
        let mut text = Zeroizing::new(String::with_capacity(TOKEN_CHARS));
        text.push_str(Self::PREFIX);
        // The id's own text is its letter, an underscore and the digits.
        text.push_str(&device.to_string()[2..]);
        BASE64URL_NOPAD.encode_append(secret.as_ref(), &mut text);
        debug_assert_eq!(text.len(), TOKEN_CHARS);
        Self(text)
    }

    /// What is kept of it.
    pub(super) fn hash(&self) -> TokenHash {
        hash(&self.0[TOKEN_CHARS - SECRET_CHARS..])
    }

    /// The token itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TokenHash {
    /// Of a device whose token nobody knows, since it was imported without: no token matches.
    pub(super) const NONE: Self = Self([0; 16]);

    /// Whether `presented` is the token this was made of, in constant time.
    pub(super) fn matches(&self, presented: &Presented) -> bool {
        *self != Self::NONE
            && constant_time::verify_slices_are_equal(&presented.secret.0, &self.0).is_ok()
    }
}

impl Presented {
    /// Reads a token's parts. Allocates nothing: it runs for every lookup.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != TOKEN_CHARS || !text.is_ascii() {
            return None;
        }
        let (digits, secret) = text.strip_prefix(DeviceToken::PREFIX)?.split_at(ID_DIGITS);
        Some(Self { device: DeviceId::from_bits(parse_digits(digits)?), secret: hash(secret) })
    }
}

fn hash(secret: &str) -> TokenHash {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest::digest(&digest::SHA256, secret.as_bytes()).as_ref()[..16]);
    TokenHash(bytes)
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken(…)")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_names_its_device_and_matches_only_its_hash(bits: u64) {
            let device = DeviceId::from_bits(bits);
            let (token, other) = (DeviceToken::issue(device), DeviceToken::issue(device));
            let presented = Presented::parse(token.expose()).expect("what was issued parses");
            prop_assert_eq!(presented.device, device);
            prop_assert!(token.hash().matches(&presented));
            prop_assert!(!other.hash().matches(&presented));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String, tail in "dd_[0-9a-zé]{12,14}[A-Za-z0-9_-]{42,44}") {
            prop_assert!(Presented::parse(&text).is_none());
            if let Some(presented) = Presented::parse(&tail) {
                prop_assert_eq!(&presented.device.to_string()[2..], &tail[3..16]);
            }
        }
    }

    #[test]
    fn no_token_matches_a_device_that_has_none() {
        let token = DeviceToken::issue(DeviceId::random());
        let mut presented = Presented::parse(token.expose()).expect("what was issued parses");
        presented.secret = TokenHash::NONE;
        assert!(!TokenHash::NONE.matches(&presented));
    }

    #[test]
    fn a_token_does_not_print() {
        let token = DeviceToken::issue(DeviceId::random());
        assert_eq!(format!("{token:?} {:?}", token.hash()), "DeviceToken(…) TokenHash(…)");
    }
}

//! Link codes: one device of an account shows the code, and another device that enters it joins the account.
//!
//! A link code is ten characters of base 32 without look-alikes, that is 50 random bits. It works once, for ten minutes.
//! Only its keyed hash is kept, in memory.

use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId, fill_random},
    limits,
    redacted::redacted_debug,
};

use super::{code::HashKey, error::LinkError};

const CHARS: usize = 10;
/// Crockford's base 32, which has no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Separates hashes of link codes from those of codes, whose prefix is a random session id.
const PREFIX: &[u8; 8] = b"linkcode";

/// A link code, as the device that requested it shows it.
#[derive(Clone)]
pub struct LinkCode {
    code: Zeroizing<String>,
    /// The code is valid before this instant.
    pub expires_at: Timestamp,
}

#[derive(Default)]
pub(super) struct LinkCodes {
    open: HashMap<[u8; 32], Issued>,
}

struct Issued {
    account: AccountId,
    device: DeviceId,
    expires_at: Timestamp,
}

/// A code that was used. It can be restored if the sign-up fails.
#[must_use = "it names the account to join"]
pub struct Redeemed {
    hash: [u8; 32],
    /// The account that the code joins.
    pub account: AccountId,
    /// The device that requested the code.
    pub(super) device: DeviceId,
    expires_at: Timestamp,
}

impl LinkCode {
    /// The code. Only the answer to the device may contain it.
    pub fn expose(&self) -> &str {
        &self.code
    }
}

impl LinkCodes {
    pub(super) fn issue(
        &mut self,
        key: &HashKey,
        account: AccountId,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<LinkCode, LinkError> {
        self.open.retain(|_, issued| now < issued.expires_at);
        let own = self.open.values().filter(|issued| issued.account == account);
        if own.clone().count() >= limits::LINK_CODES_PER_ACCOUNT_MAX {
            let first = own.map(|issued| issued.expires_at).min().unwrap_or(now);
            return Err(LinkError::TooMany { retry_after: first.since(now) });
        }
        if self.open.len() >= limits::LINK_CODES_MAX {
            return Err(LinkError::Overloaded);
        }
        let code = random_code();
        let expires_at = now.plus(limits::LINK_CODE_LIFETIME);
        self.open.insert(key.hash(PREFIX, code.as_bytes()), Issued { account, device, expires_at });
        Ok(LinkCode { code, expires_at })
    }

    /// Uses up the code that a person typed. None if no such code is open.
    pub(super) fn redeem(&mut self, key: &HashKey, text: &str, now: Timestamp) -> Option<Redeemed> {
        let code = normalize(text)?;
        let hash = key.hash(PREFIX, code.as_bytes());
        let Issued { account, device, expires_at } = self.open.remove(&hash)?;
        (now < expires_at).then_some(Redeemed { hash, account, device, expires_at })
    }

    /// Makes a redeemed code valid again for the rest of its lifetime.
    pub(super) fn restore(&mut self, redeemed: Redeemed) {
        let Redeemed { hash, account, device, expires_at } = redeemed;
        self.open.insert(hash, Issued { account, device, expires_at });
    }
}

fn random_code() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; CHARS]);
    fill_random(bytes.as_mut());
    // 256 is a multiple of 32, so every character is equally likely.
    Zeroizing::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// Turns typed text into the issued form: ignores case, spaces and dashes, and replaces look-alikes.
fn normalize(text: &str) -> Option<Zeroizing<String>> {
    let mut code = Zeroizing::new(String::with_capacity(CHARS));
    for typed in text.chars().filter(|typed| !matches!(typed, ' ' | '-')) {
        let issued = match typed.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        if code.len() >= CHARS || !issued.is_ascii() || !ALPHABET.contains(&(issued as u8)) {
            return None;
        }
        code.push(issued);
    }
    (code.len() == CHARS).then_some(code)
}

redacted_debug!(LinkCode, Redeemed);

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId::from_bits(9);

    fn redeem(
        codes: &mut LinkCodes,
        key: &HashKey,
        text: &str,
        now: Timestamp,
    ) -> Option<AccountId> {
        codes.redeem(key, text, now).map(|redeemed| redeemed.account)
    }

    fn fixture() -> (LinkCodes, HashKey, Timestamp) {
        (LinkCodes::default(), HashKey::random(), Timestamp::from_secs(1_000))
    }

    #[test]
    fn a_code_works_once_and_however_it_is_typed() {
        let (mut codes, key, now) = fixture();
        let account = AccountId::from_bits(1);
        let code = codes.issue(&key, account, DEVICE, now).expect("below the limits");
        let typed = format!(" {}-{} ", &code.expose()[..4], &code.expose()[4..]).to_lowercase();
        assert_eq!(
            redeem(&mut codes, &key, &typed.replace('0', "o").replace('1', "l"), now),
            Some(account)
        );
        assert_eq!(redeem(&mut codes, &key, code.expose(), now), None);
        assert_eq!(format!("{code:?}"), "LinkCode(…)");
    }

    #[test]
    fn a_restored_code_is_valid_again() {
        let (mut codes, key, now) = fixture();
        let account = AccountId::from_bits(1);
        let code = codes.issue(&key, account, DEVICE, now).expect("below the limits");
        let redeemed = codes.redeem(&key, code.expose(), now).expect("it is valid");
        assert_eq!(redeemed.device, DEVICE);
        codes.restore(redeemed);
        assert_eq!(redeem(&mut codes, &key, code.expose(), now), Some(account));
        assert_eq!(redeem(&mut codes, &key, code.expose(), now), None);
    }

    #[test]
    fn a_code_expires_at_its_exact_microsecond() {
        let (mut codes, key, now) = fixture();
        for (late_micros, found) in [(0, None), (1, Some(AccountId::from_bits(1)))] {
            let code =
                codes.issue(&key, AccountId::from_bits(1), DEVICE, now).expect("below the limits");
            let then = Timestamp::from_micros(code.expires_at.as_micros() - late_micros);
            assert_eq!(redeem(&mut codes, &key, code.expose(), then), found);
        }
    }

    #[test]
    fn open_codes_are_limited_for_each_account_and_in_total() {
        let (mut codes, key, now) = fixture();
        let account = AccountId::from_bits(0);
        for _ in 0..limits::LINK_CODES_PER_ACCOUNT_MAX {
            codes.issue(&key, account, DEVICE, now).expect("below the limits");
        }
        let refused = codes.issue(&key, account, DEVICE, now).expect_err("the limit is reached");
        assert_eq!(refused, LinkError::TooMany { retry_after: limits::LINK_CODE_LIFETIME });
        let others = (1..).map(AccountId::from_bits).take(limits::LINK_CODES_MAX);
        let issued: Vec<_> = others.map(|other| codes.issue(&key, other, DEVICE, now)).collect();
        assert!(matches!(issued.last(), Some(Err(LinkError::Overloaded))));
        let later = now.plus(limits::LINK_CODE_LIFETIME);
        assert!(codes.issue(&key, account, DEVICE, later).is_ok(), "expired codes are removed");
        assert_eq!(codes.open.len(), 1);
    }

    #[test]
    fn malformed_text_is_no_code() {
        let (mut codes, key, now) = fixture();
        for text in ["", "é", "UUUUUUUUUU", "0123456789A", &"0".repeat(1_000)] {
            assert_eq!(redeem(&mut codes, &key, text, now), None);
        }
    }
}

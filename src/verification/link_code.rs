//! Link codes: shown by one device of an account, typed into another, which then joins the account.
//!
//! Ten characters of base 32 without look-alikes, 50 random bits, good once and for ten minutes. Kept only as keyed
//! hashes, in memory.

use std::{collections::HashMap, fmt};

use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId, fill_random},
    limits,
};

use super::{code::HashKey, error::LinkError};

const CHARS: usize = 10;
/// Crockford's base 32: no letter that reads like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Keeps hashes of link codes apart from those of codes: no session has this id, since ids are random.
const PREFIX: &[u8; 8] = b"linkcode";

/// A link code as shown to the device that asked for it.
#[derive(Clone)]
pub struct LinkCode {
    code: Zeroizing<String>,
    /// Good until just before this instant.
    pub expires_at: Timestamp,
}

#[derive(Default)]
pub(super) struct LinkCodes {
    open: HashMap<[u8; 32], Issued>,
}

/// Who made a code, and until when it is good.
#[derive(Clone, Copy)]
struct Issued {
    account: AccountId,
    device: DeviceId,
    expires_at: Timestamp,
}

/// A code that was used up. It can be put back if nothing came of it.
#[must_use = "it names the account to join"]
pub struct Redeemed {
    hash: [u8; 32],
    issued: Issued,
}

impl Redeemed {
    /// The account that the code joins.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.issued.account
    }

    /// The device that made the code.
    pub(super) fn device(&self) -> DeviceId {
        self.issued.device
    }
}

impl fmt::Debug for Redeemed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redeemed(…)")
    }
}

impl LinkCode {
    /// The code, for the one answer that shows it.
    #[must_use]
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
        let own: Vec<Timestamp> = own.map(|issued| issued.expires_at).collect();
        if own.len() >= limits::LINK_CODES_PER_ACCOUNT_MAX {
            let first = own.into_iter().min().unwrap_or(now);
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

    /// Whose code this is; it is used up.
    pub(super) fn redeem(&mut self, key: &HashKey, text: &str, now: Timestamp) -> Option<Redeemed> {
        let code = as_issued(text)?;
        let hash = key.hash(PREFIX, code.as_bytes());
        let issued = self.open.remove(&hash)?;
        (now < issued.expires_at).then_some(Redeemed { hash, issued })
    }

    /// Nothing came of it: the code is good again for what is left of its time.
    pub(super) fn put_back(&mut self, redeemed: Redeemed) {
        self.open.insert(redeemed.hash, redeemed.issued);
    }
}

fn random_code() -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; CHARS]);
    fill_random(bytes.as_mut());
    // 256 is a multiple of 32, so no character is favoured.
    Zeroizing::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// What a person typed as it was issued: any case, with blanks or dashes, with look-alikes.
fn as_issued(text: &str) -> Option<Zeroizing<String>> {
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

impl fmt::Debug for LinkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkCode").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKER: DeviceId = DeviceId::from_bits(9);

    fn redeem(
        codes: &mut LinkCodes,
        key: &HashKey,
        text: &str,
        now: Timestamp,
    ) -> Option<AccountId> {
        codes.redeem(key, text, now).map(|redeemed| redeemed.account())
    }

    fn fixture() -> (LinkCodes, HashKey, Timestamp) {
        (LinkCodes::default(), HashKey::random(), Timestamp::from_secs(1_000))
    }

    #[test]
    fn a_code_is_good_once_and_however_it_is_typed() {
        let (mut codes, key, now) = fixture();
        let account = AccountId::from_bits(1);
        let code = codes.issue(&key, account, MAKER, now).expect("there is room");
        let typed = format!(" {}-{} ", &code.expose()[..4], &code.expose()[4..]).to_lowercase();
        assert_eq!(
            redeem(&mut codes, &key, &typed.replace('0', "o").replace('1', "l"), now),
            Some(account)
        );
        assert_eq!(redeem(&mut codes, &key, code.expose(), now), None);
        assert_eq!(
            format!("{code:?}"),
            format!("LinkCode {{ expires_at: {:?}, .. }}", code.expires_at)
        );
    }

    #[test]
    fn a_code_put_back_is_good_again() {
        let (mut codes, key, now) = fixture();
        let account = AccountId::from_bits(1);
        let code = codes.issue(&key, account, MAKER, now).expect("there is room");
        let redeemed = codes.redeem(&key, code.expose(), now).expect("it is good");
        assert_eq!(redeemed.device(), MAKER);
        codes.put_back(redeemed);
        assert_eq!(redeem(&mut codes, &key, code.expose(), now), Some(account));
        assert_eq!(redeem(&mut codes, &key, code.expose(), now), None);
    }

    #[test]
    fn a_code_ends_at_its_very_microsecond() {
        let (mut codes, key, now) = fixture();
        for (late_micros, found) in [(0, None), (1, Some(AccountId::from_bits(1)))] {
            let code =
                codes.issue(&key, AccountId::from_bits(1), MAKER, now).expect("there is room");
            let then = Timestamp::from_micros(code.expires_at.as_micros() - late_micros);
            assert_eq!(redeem(&mut codes, &key, code.expose(), then), found);
        }
    }

    #[test]
    fn open_codes_are_bounded_by_account_and_in_all() {
        let (mut codes, key, now) = fixture();
        let account = AccountId::from_bits(0);
        for _ in 0..limits::LINK_CODES_PER_ACCOUNT_MAX {
            codes.issue(&key, account, MAKER, now).expect("there is room");
        }
        let refused = codes.issue(&key, account, MAKER, now).expect_err("that was the last");
        assert_eq!(refused, LinkError::TooMany { retry_after: limits::LINK_CODE_LIFETIME });
        let others = (1..).map(AccountId::from_bits).take(limits::LINK_CODES_MAX);
        let issued: Vec<_> = others.map(|other| codes.issue(&key, other, MAKER, now)).collect();
        assert!(matches!(issued.last(), Some(Err(LinkError::Overloaded))));
        let later = now.plus(limits::LINK_CODE_LIFETIME);
        assert!(codes.issue(&key, account, MAKER, later).is_ok(), "expired codes make room");
        assert_eq!(codes.open.len(), 1);
    }

    #[test]
    fn nonsense_is_no_code() {
        let (mut codes, key, now) = fixture();
        for text in ["", "é", "UUUUUUUUUU", "0123456789A", &"0".repeat(1_000)] {
            assert_eq!(redeem(&mut codes, &key, text, now), None);
        }
    }
}

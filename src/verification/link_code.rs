//! Link codes: one device of an account shows the code, and another device that enters it joins the account.
//!
//! A link code is ten characters of base 32 without look-alikes, that is 50 random bits. It works once, for ten minutes. Its
//! row holds only the keyed hash. A second row lists the open codes of an account.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    ids::{AccountId, DeviceId, fill_random},
    limits,
    redacted::redacted_debug,
    registry::RowKind,
};

use super::{
    error::LinkError,
    hash_key::{Hash, HashKey, Hashed},
    rows::{ReadRows, RowChange},
    typed,
};

const CHARS: usize = 10;
/// Crockford's base 32, which has no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A link code, as the device that requested it shows it.
#[derive(Clone)]
pub struct LinkCode {
    code: Zeroizing<String>,
    /// The code is valid before this instant.
    pub expires_at: Timestamp,
}

redacted_debug!(LinkCode);

/// Who requested an open code.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Issuer {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
}

/// The open codes of one account, with the ends in microseconds since the Unix epoch.
#[derive(Default, Serialize, Deserialize)]
struct OpenCodes(Vec<(Hash, u64)>);

impl LinkCode {
    /// A random code.
    pub(super) fn new(expires_at: Timestamp) -> Self {
        let mut bytes = Zeroizing::new([0; CHARS]);
        fill_random(bytes.as_mut());
        // 256 is a multiple of 32, so every character is equally likely.
        let chars = bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self { code: Zeroizing::new(chars.collect()), expires_at }
    }

    /// The code. Only the answer to the device may contain it.
    pub fn expose(&self) -> &str {
        &self.code
    }
}

/// The hash of an issued code.
pub(super) fn hash_of(key: &HashKey, code: &LinkCode) -> Hash {
    key.hash(Hashed::LinkCode, &[code.expose().as_bytes()])
}

/// The hash of a code that a person typed. None if the text cannot be a code.
pub(super) fn hash_of_typed(key: &HashKey, text: &str) -> Option<Hash> {
    let code = typed::read(text, CHARS, |typed| {
        let issued = match typed.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        ALPHABET.iter().any(|char| char::from(*char) == issued).then_some(issued)
    })?;
    Some(key.hash(Hashed::LinkCode, &[code.as_bytes()]))
}

/// Stores a new code.
pub(super) fn issue(
    rows: &impl ReadRows,
    hash: Hash,
    issuer: Issuer,
    expires_at: Timestamp,
) -> Result<Vec<RowChange>, LinkError> {
    let now = rows.now();
    let mut open = OpenCodes::of(rows, issuer.account);
    // A code that ends later than this one is of a clock that was set back, and keeps nobody from another one.
    open.0.retain(|(_, end)| *end <= expires_at.as_micros());
    if open.0.len() >= limits::LINK_CODES_PER_ACCOUNT_MAX {
        let first = open.0.iter().map(|(_, end)| *end).min().unwrap_or_default();
        return Err(LinkError::TooMany { retry_after: Timestamp::from_micros(first).since(now) });
    }
    if rows.count(RowKind::LinkCode) >= limits::LINK_CODES_MAX {
        return Err(LinkError::Overloaded);
    }
    open.0.push((hash, expires_at.as_micros()));
    let code = RowChange::put(RowKind::LinkCode, hash, expires_at, &issuer);
    Ok(vec![code, open.row(issuer.account)])
}

/// Who requested the code. None if no such code is open.
pub(super) fn issuer(rows: &impl ReadRows, hash: &Hash) -> Option<Issuer> {
    let issuer: Issuer = rows.read(RowKind::LinkCode, hash)?;
    // The row's own end is not enough: after the clock was set back it would come too late.
    let is_open = OpenCodes::of(rows, issuer.account).0.iter().any(|(one, _)| one == hash);
    is_open.then_some(issuer)
}

/// Uses up a code that is open.
pub(super) fn redeem(rows: &impl ReadRows, hash: Hash, issuer: Issuer) -> Vec<RowChange> {
    let mut open = OpenCodes::of(rows, issuer.account);
    open.0.retain(|(one, _)| *one != hash);
    vec![RowChange::remove(RowKind::LinkCode, hash), open.row(issuer.account)]
}

impl OpenCodes {
    /// Those that have not ended. One that ends much later than a code of the present can is of a clock that was set back.
    fn of(rows: &impl ReadRows, account: AccountId) -> Self {
        let mut open: Self =
            rows.read(RowKind::LinkCodesOf, &account.bits().to_be_bytes()).unwrap_or_default();
        let longest = limits::LINK_CODE_LIFETIME + limits::CLOCK_AGREEMENT;
        let latest = rows.now().plus(longest).as_micros();
        let now = rows.now().as_micros();
        open.0.retain(|(_, end)| now < *end && *end <= latest);
        open
    }

    fn row(&self, account: AccountId) -> RowChange {
        let key = account.bits().to_be_bytes();
        match self.0.iter().map(|(_, end)| *end).max() {
            Some(end) => {
                RowChange::put(RowKind::LinkCodesOf, key, Timestamp::from_micros(end), self)
            }
            None => RowChange::remove(RowKind::LinkCodesOf, key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rows::tests::RowsOfTests, *};

    const DEVICE: DeviceId = DeviceId::from_bits(9);
    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn issuer_of(account: u64) -> Issuer {
        Issuer { account: AccountId::from_bits(account), device: DEVICE }
    }

    /// Issues a code and returns its text.
    fn issued(rows: &mut RowsOfTests, account: u64) -> Result<LinkCode, LinkError> {
        let key = HashKey::of_tests();
        let code = LinkCode::new(rows.now.plus(limits::LINK_CODE_LIFETIME));
        let hash = hash_of(&key, &code);
        let changes = issue(rows, hash, issuer_of(account), code.expires_at)?;
        rows.apply(changes);
        Ok(code)
    }

    /// Uses a code up, and returns the account that it joins.
    fn redeemed(rows: &mut RowsOfTests, text: &str) -> Option<u64> {
        let hash = hash_of_typed(&HashKey::of_tests(), text)?;
        let issuer = issuer(rows, &hash)?;
        let changes = redeem(rows, hash, issuer);
        rows.apply(changes);
        Some(issuer.account.bits())
    }

    #[test]
    fn a_code_works_once_and_however_it_is_typed() {
        let mut rows = RowsOfTests::at(START);
        let code = issued(&mut rows, 1).expect("below the limits");
        let (head, tail) = code.expose().split_at(4);
        let typed = format!("\u{200E} (\"{head}\u{2014}{tail}\")#\u{A0}\n").to_lowercase();
        let typed = typed.replace('0', "o").replace('1', "l");
        assert_eq!(redeemed(&mut rows, &typed), Some(1));
        assert_eq!(redeemed(&mut rows, code.expose()), None);
        assert!(rows.rows.is_empty(), "nothing is left of it");
        assert_eq!(format!("{code:?}"), "LinkCode(…)");
    }

    #[test]
    fn a_code_expires_at_its_exact_microsecond() {
        for (late_micros, found) in [(0, None), (1, Some(1))] {
            let mut rows = RowsOfTests::at(START);
            let code = issued(&mut rows, 1).expect("below the limits");
            rows.now = Timestamp::from_micros(code.expires_at.as_micros() - late_micros);
            assert_eq!(redeemed(&mut rows, code.expose()), found);
        }
    }

    #[test]
    fn open_codes_are_limited_for_each_account_and_in_total() {
        let mut rows = RowsOfTests::at(START);
        let codes: Vec<_> = (0..limits::LINK_CODES_PER_ACCOUNT_MAX)
            .map(|_| issued(&mut rows, 0).expect("below the limits"))
            .collect();
        let refused = issued(&mut rows, 0).expect_err("the limit is reached");
        assert_eq!(refused, LinkError::TooMany { retry_after: limits::LINK_CODE_LIFETIME });
        assert_eq!(redeemed(&mut rows, codes[0].expose()), Some(0));
        issued(&mut rows, 0).expect("a used code does not count");
        let refused = (1..).map(|account| issued(&mut rows, account)).find_map(Result::err);
        assert_eq!(refused, Some(LinkError::Overloaded));
        rows.now = rows.now.plus(limits::LINK_CODE_LIFETIME);
        rows.rows.retain(|_, (ends_at, _)| rows.now < *ends_at);
        assert!(issued(&mut rows, 0).is_ok(), "expired codes are removed");
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_an_account_from_codes() {
        let mut rows = RowsOfTests::at(START);
        while issued(&mut rows, 0).is_ok() {}
        rows.now = START.minus(limits::LINK_CODE_LIFETIME);
        assert!(issued(&mut rows, 0).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_the_life_of_a_code() {
        for (back, found) in [(1, Some(1)), (3_600, Some(1)), (3_601, None), (86_400, None)] {
            let mut rows = RowsOfTests::at(START);
            let code = issued(&mut rows, 1).expect("below the limits");
            rows.now = START.minus(std::time::Duration::from_secs(back));
            assert_eq!(redeemed(&mut rows, code.expose()), found, "{back} s");
        }
    }

    #[test]
    fn malformed_text_is_no_code() {
        for text in ["", "é", "UUUUUUUUUU", "0123456789A", &"0".repeat(1_000)] {
            assert!(hash_of_typed(&HashKey::of_tests(), text).is_none());
        }
    }
}

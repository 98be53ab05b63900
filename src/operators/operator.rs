//! One operator: name, role, and its token, of which only a hash is kept. Its row in the registry has its name as the key.

use std::borrow::Cow;

use aws_lc_rs::{constant_time, digest};
use clap::ValueEnum;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::{clock::Timestamp, ids, redacted::redacted_debug, registry::NodePublicKey};

const TOKEN_RANDOM_BYTES: usize = 32;
const HASH_BYTES: usize = 32;
const NAME_BYTES_MAX: usize = 64;

/// SHA-256 of a token, or of the public key of a node; in text, base64url.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; HASH_BYTES]);

redacted_debug!(TokenHash);

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self::of_bytes(token.as_bytes())
    }

    /// The hash by which a node with this key is known.
    pub fn of_node(key: &NodePublicKey) -> Self {
        Self::of_bytes(&key.0)
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let hash = digest::digest(&digest::SHA256, bytes);
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// Its bytes.
    pub(super) const fn bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Whether the operator with this row has the token of this hash. Takes the same time wherever hashes differ.
    pub(super) fn is_of_row(&self, row: &[u8]) -> bool {
        let of_row = row.get(..HASH_BYTES).unwrap_or_default();
        constant_time::verify_slices_are_equal(of_row, &self.0).is_ok()
    }
}

impl Serialize for TokenHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for TokenHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'_, str>>::deserialize(deserializer)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Self).ok_or_else(|| D::Error::custom("it is no hash of a token"))
    }
}

/// What an operator may do. Of metrics, reader and admin each may do all that the ones before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads the metrics, nothing else
    Metrics,
    /// Reads the log, timelines and the registry's figures
    Reader,
    /// Everything
    Admin,
    /// A node of the cluster: what nodes ask each other, nothing else. A node gets it when it joins.
    #[value(skip)]
    Member,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Metrics, Self::Reader, Self::Admin, Self::Member];

    /// Whether an operator of this role may make a call that takes the role `least`. A node makes no call of people in its own name: it
    /// names the operator for whom it asks. And nobody needs an admin's token for a copy of the store with all operators.
    pub const fn reaches(self, least: Self) -> bool {
        match (self, least) {
            (Self::Member, Self::Member) => true,
            (Self::Member, _) | (_, Self::Member) => false,
            _ => least.number() <= self.number(),
        }
    }

    /// The role's name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Reader => "reader",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// The number on disk. Stable, never reused.
    const fn number(self) -> u8 {
        match self {
            Self::Metrics => 1,
            Self::Reader => 2,
            Self::Admin => 3,
            Self::Member => 4,
        }
    }
}

/// What a row holds. The hash comes first: see [`TokenHash::is_of_row`].
#[derive(Serialize, Deserialize)]
struct RowV1 {
    token_sha256: [u8; HASH_BYTES],
    role: u8,
    added_at: u64,
}

/// One operator, as listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// The name given when it was added.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was added.
    pub added_at: Timestamp,
    pub(super) token_sha256: TokenHash,
}

impl Operator {
    /// An operator of its row. None if the row is none that was written.
    pub(super) fn read(name: &[u8], row: &[u8]) -> Option<Self> {
        let row: RowV1 = postcard::from_bytes(row).ok()?;
        Some(Self {
            name: str::from_utf8(name).ok().filter(|name| is_name(name))?.to_owned(),
            role: Role::ALL.into_iter().find(|role| role.number() == row.role)?,
            added_at: Timestamp::from_micros(row.added_at),
            token_sha256: TokenHash(row.token_sha256),
        })
    }

    /// What its row holds.
    pub(super) fn row(&self) -> Vec<u8> {
        let row = RowV1 {
            token_sha256: self.token_sha256.0,
            role: self.role.number(),
            added_at: self.added_at.as_micros(),
        };
        postcard::to_stdvec(&row).expect("a row has a binary form")
    }
}

/// An operator's token: shown once, never stored.
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// What every operator token begins with, so that a leaked one is recognised by scanners.
    pub const PREFIX: &str = "do_";

    /// A fresh token, which is not valid before an operator has it.
    pub fn random() -> Self {
        Self::beginning_with(Self::PREFIX)
    }

    pub(super) fn beginning_with(prefix: &str) -> Self {
        let mut random = Zeroizing::new([0; TOKEN_RANDOM_BYTES]);
        ids::fill_random(random.as_mut());
        let secret = Zeroizing::new(BASE64URL_NOPAD.encode(random.as_ref()));
        Self(Zeroizing::new(format!("{prefix}{}", secret.as_str())))
    }

    /// The text to hand to the operator.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

redacted_debug!(OperatorToken);

/// Whether an operator could have this name: 1 to 64 letters, digits, `.`, `_` and `-`.
pub fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_gives_the_operator_again_and_nothing_else_does() {
        for role in Role::ALL {
            let (added_at, token_sha256) = (Timestamp::from_secs(7), TokenHash::of("do_x"));
            let ann = Operator { name: "ann".into(), role, added_at, token_sha256 };
            let row = ann.row();
            assert!(token_sha256.is_of_row(&row) && !TokenHash::of("do_y").is_of_row(&row));
            assert_eq!(Operator::read(b"ann", &row), Some(ann));
            assert_eq!(Operator::read(b"a n", &row), None);
            assert_eq!(Operator::read(b"ann", &row[..HASH_BYTES]), None);
            assert!(!token_sha256.is_of_row(&row[..HASH_BYTES - 1]));
        }
    }

    #[test]
    fn nodes_and_people_have_no_call_in_common() {
        let reached = |role: Role| Role::ALL.map(|least| role.reaches(least));
        assert_eq!(reached(Role::Metrics), [true, false, false, false]);
        assert_eq!(reached(Role::Reader), [true, true, false, false]);
        assert_eq!(reached(Role::Admin), [true, true, true, false]);
        assert_eq!(reached(Role::Member), [false, false, false, true]);
        assert!(
            !Role::value_variants().contains(&Role::Member),
            "nobody gives it on the command line"
        );
    }

    #[test]
    fn the_rows_on_disk_keep_their_form() {
        let ann = Operator {
            name: "ann".into(),
            role: Role::Reader,
            added_at: Timestamp::from_micros(300),
            token_sha256: TokenHash([7; HASH_BYTES]),
        };
        assert_eq!(ann.row(), [&[7; HASH_BYTES][..], &[2, 0xAC, 2]].concat());
    }
}

//! One operator: name, role, and its token, of which only a hash is kept.

use aws_lc_rs::{constant_time, digest};
use clap::ValueEnum;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{clock::Timestamp, ids, redacted::redacted_debug};

const TOKEN_RANDOM_BYTES: usize = 32;
const NAME_BYTES_MAX: usize = 64;

/// SHA-256 of a token, in base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenHash(String);

impl TokenHash {
    pub(super) fn of(token: &str) -> Self {
        Self(BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, token.as_bytes()).as_ref()))
    }
}

/// What an operator may do. A later role may do all that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads the metrics, nothing else
    Metrics,
    /// Reads the log, timelines and the registry's figures
    Reader,
    /// Everything
    Admin,
}

impl Role {
    /// The role's name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Reader => "reader",
            Self::Admin => "admin",
        }
    }
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
    token_sha256: TokenHash,
}

impl Operator {
    pub(super) fn new(name: &str, role: Role, added_at: Timestamp, token: &OperatorToken) -> Self {
        Self { name: name.to_owned(), role, added_at, token_sha256: TokenHash::of(token.reveal()) }
    }

    /// Whether this is the hash of the operator's token. Takes the same time wherever hashes differ.
    pub(super) fn has_token(&self, hash: &TokenHash) -> bool {
        let (own, other) = (self.token_sha256.0.as_bytes(), hash.0.as_bytes());
        constant_time::verify_slices_are_equal(own, other).is_ok()
    }
}

/// An operator's token: shown once, never stored.
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// What every operator token begins with, so that a leaked one is recognised by scanners.
    pub const PREFIX: &str = "do_";

    pub(super) fn random() -> Self {
        let mut random = Zeroizing::new([0; TOKEN_RANDOM_BYTES]);
        ids::fill_random(random.as_mut());
        let secret = Zeroizing::new(BASE64URL_NOPAD.encode(random.as_ref()));
        Self(Zeroizing::new(format!("{}{}", Self::PREFIX, secret.as_str())))
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

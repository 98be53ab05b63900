//! Operators: who may read the log, by token and role.
//!
//! The list is one small file, `registry/operators.json`, that the command line changes (under a lock, by writing a new
//! file and renaming it over the old one) and a running server reads again when it has changed, so that adding or
//! revoking an operator needs no restart. It holds names, roles and SHA-256 hashes of 256-bit random tokens, never a
//! token: a slow password hash would add nothing to that many random bits.

mod file;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{constant_time, digest};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{clock::Timestamp, ids};

pub use file::Stamp;

/// What every operator token begins with, so that a leaked one is recognised by scanners.
const TOKEN_PREFIX: &str = "do_";
const TOKEN_RANDOM_BYTES: usize = 32;
/// Operators in the list; each call compares with every one.
const OPERATORS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 64;

/// What an operator may do. A later role may do all that an earlier one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads the log, timelines and the registry's figures.
    Reader,
    /// Everything.
    Admin,
}

impl Role {
    /// The role's name, as on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
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
    /// SHA-256 of its token, in base64url.
    token_sha256: String,
}

/// An operator's token: shown once, never stored.
pub struct OperatorToken(Zeroizing<String>);

impl OperatorToken {
    /// The text to hand to the operator.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorToken(…)")
    }
}

/// Why the list of operators could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum OperatorsError {
    /// The name is empty, too long, or holds something else than letters, digits, `.`, `_` and `-`.
    #[error("an operator's name is 1 to 64 letters, digits, '.', '_' or '-'")]
    Name,
    /// The name is taken.
    #[error("there is an operator of that name already; revoke it first")]
    Exists,
    /// No such name.
    #[error("there is no operator of that name")]
    Unknown,
    /// The list is full.
    #[error("the list is full ({OPERATORS_MAX} operators)")]
    Full,
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a list of operators.
    #[error("{path}: not a list of operators (line {line})")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        line: usize,
    },
}

/// The operators of one data directory.
#[derive(Debug)]
pub struct Operators {
    path: PathBuf,
    read: Mutex<(Option<Stamp>, Arc<Vec<Operator>>)>,
}

impl Operators {
    /// The operators of the data directory `data`. Nothing is read yet; a missing file is an empty list.
    #[must_use]
    pub fn of(data: &Path) -> Self {
        let path = data.join("registry").join("operators.json");
        Self { path, read: Mutex::new((None, Arc::default())) }
    }

    /// Everyone on the list, in the order they were added.
    ///
    /// # Errors
    /// If the file exists and cannot be read as a list.
    pub fn list(&self) -> Result<Arc<Vec<Operator>>, OperatorsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = file::stamp(&self.path)?;
        if read.0 != stamp {
            *read = (stamp, Arc::new(file::load(&self.path)?));
        }
        Ok(Arc::clone(&read.1))
    }

    /// The operator whose token this is. The comparison takes the same time wherever tokens differ.
    ///
    /// # Errors
    /// If the list cannot be read.
    pub fn authenticate(&self, token: &str) -> Result<Option<Operator>, OperatorsError> {
        let hash = hash(token);
        let listed = self.list()?;
        let mut found = None;
        for operator in listed.iter() {
            let same = constant_time::verify_slices_are_equal(
                operator.token_sha256.as_bytes(),
                hash.as_bytes(),
            );
            if same.is_ok() {
                found = Some(operator.clone());
            }
        }
        Ok(found)
    }

    /// Adds an operator and gives its token, durable when this returns.
    ///
    /// # Errors
    /// See [`OperatorsError`].
    pub fn add(
        &self,
        name: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<OperatorToken, OperatorsError> {
        if !is_name(name) {
            return Err(OperatorsError::Name);
        }
        let mut random = Zeroizing::new([0; TOKEN_RANDOM_BYTES]);
        ids::fill_random(random.as_mut());
        let secret = Zeroizing::new(BASE64URL_NOPAD.encode(random.as_ref()));
        let token = OperatorToken(Zeroizing::new(format!("{TOKEN_PREFIX}{}", secret.as_str())));
        file::change(&self.path, |operators| {
            if operators.iter().any(|operator| operator.name == name) {
                return Err(OperatorsError::Exists);
            }
            if operators.len() >= OPERATORS_MAX {
                return Err(OperatorsError::Full);
            }
            let token_sha256 = hash(token.reveal());
            operators.push(Operator { name: name.to_owned(), role, added_at: now, token_sha256 });
            Ok(())
        })?;
        Ok(token)
    }

    /// Removes an operator; its token is refused from the next call on.
    ///
    /// # Errors
    /// See [`OperatorsError`].
    pub fn revoke(&self, name: &str) -> Result<(), OperatorsError> {
        file::change(&self.path, |operators| {
            let before = operators.len();
            operators.retain(|operator| operator.name != name);
            if operators.len() == before { Err(OperatorsError::Unknown) } else { Ok(()) }
        })
    }
}

/// Whether an operator could have this name: 1 to 64 letters, digits, `.`, `_` and `-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(legal)
}

fn hash(token: &str) -> String {
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_until_it_is_revoked_and_is_never_on_disk() {
        let data = tempfile::tempdir().unwrap();
        let (console, server) = (Operators::of(data.path()), Operators::of(data.path()));
        assert!(server.list().unwrap().is_empty());
        assert!(server.authenticate("do_x").unwrap().is_none());

        let token = console.add("ann", Role::Reader, Timestamp::from_secs(1)).unwrap();
        let other = console.add("bob", Role::Admin, Timestamp::from_secs(2)).unwrap();
        let ann = server.authenticate(token.reveal()).unwrap().unwrap();
        assert_eq!((ann.name.as_str(), ann.role), ("ann", Role::Reader));
        assert_eq!(server.authenticate(other.reveal()).unwrap().unwrap().role, Role::Admin);
        assert!(
            server.authenticate(&token.reveal()[..token.reveal().len() - 1]).unwrap().is_none()
        );
        let text = std::fs::read_to_string(data.path().join("registry/operators.json")).unwrap();
        assert!(!text.contains(token.reveal()) && !text.contains(&token.reveal()[3..]));

        console.revoke("ann").unwrap();
        assert!(server.authenticate(token.reveal()).unwrap().is_none());
        assert!(matches!(console.revoke("ann"), Err(OperatorsError::Unknown)));
    }

    #[test]
    fn names_are_unique_and_plain() {
        let data = tempfile::tempdir().unwrap();
        let operators = Operators::of(data.path());
        operators.add("ann", Role::Reader, Timestamp::EPOCH).unwrap();
        let again = operators.add("ann", Role::Admin, Timestamp::EPOCH);
        assert!(matches!(again, Err(OperatorsError::Exists)));
        for name in ["", "a b", "ann\n", &"x".repeat(65)] {
            let refused = operators.add(name, Role::Reader, Timestamp::EPOCH);
            assert!(matches!(refused, Err(OperatorsError::Name)), "{name:?}");
        }
    }

    #[test]
    fn a_damaged_list_is_an_error_not_an_empty_list() {
        let data = tempfile::tempdir().unwrap();
        let operators = Operators::of(data.path());
        operators.add("ann", Role::Reader, Timestamp::EPOCH).unwrap();
        std::fs::write(data.path().join("registry/operators.json"), "{\"version\":1,\n!").unwrap();
        assert!(matches!(operators.list(), Err(OperatorsError::Malformed { line: 2, .. })));
        let added = operators.add("bob", Role::Admin, Timestamp::EPOCH);
        assert!(matches!(added, Err(OperatorsError::Malformed { .. })));
    }
}

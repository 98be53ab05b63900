//! The list of operators of one data directory.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    file::{self, OperatorsError},
    operator::{Operator, OperatorToken, Role, TokenHash, is_name},
};
use crate::{clock::Timestamp, files::FileStamp, limits};

/// The operators of one data directory.
#[derive(Debug)]
pub struct Operators {
    path: PathBuf,
    read: Mutex<(Option<FileStamp>, Arc<Vec<Operator>>)>,
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
        let (hash, mut found) = (TokenHash::of(token), None);
        // Every operator is compared, so that the time does not tell which one it is.
        for operator in self.list()?.iter() {
            if operator.has_token(&hash) {
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
        let token = OperatorToken::random();
        file::change(&self.path, |operators| {
            if operators.iter().any(|operator| operator.name == name) {
                return Err(OperatorsError::Exists);
            }
            if operators.len() >= limits::OPERATORS_MAX {
                return Err(OperatorsError::Full);
            }
            operators.push(Operator::new(name, role, now, &token));
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

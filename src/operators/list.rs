//! The list of operators of one data directory: a file, read whole, replaced whole.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::operator::{Operator, OperatorToken, Role, TokenHash, is_name};
use crate::{
    clock::Timestamp,
    files::{self, FileLock, FileStamp, LockError, OsDisk},
    limits,
};

const VERSION: u32 = 1;

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
    #[error("the list is full ({} operators)", limits::OPERATORS_MAX)]
    Full,
    /// Another process holds the lock of the list.
    #[error(transparent)]
    Lock(#[from] LockError),
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorsFile {
    version: u32,
    operators: Vec<Operator>,
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OperatorsError {
    let path = path.to_owned();
    move |source| OperatorsError::Io { path, source }
}

/// The operators of one data directory.
#[derive(Debug)]
pub struct Operators {
    path: PathBuf,
    read: Mutex<(Option<FileStamp>, Arc<Vec<Operator>>)>,
}

impl Operators {
    /// The operators of the data directory `data`. Nothing is read yet; a missing file is an empty list.
    pub fn of(data: &Path) -> Self {
        let path = data.join("registry").join("operators.json");
        Self { path, read: Mutex::new((None, Arc::default())) }
    }

    /// Everyone on the list, in the order they were added.
    pub fn list(&self) -> Result<Arc<Vec<Operator>>, OperatorsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stamp(&self.path)?;
        if read.0 != found {
            *read = (found, Arc::new(load(&self.path)?));
        }
        Ok(Arc::clone(&read.1))
    }

    /// The operator whose token this is. The comparison takes the same time wherever tokens differ.
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
        change(&self.path, |operators| {
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
    pub fn revoke(&self, name: &str) -> Result<(), OperatorsError> {
        change(&self.path, |operators| {
            let before = operators.len();
            operators.retain(|operator| operator.name != name);
            if operators.len() == before { Err(OperatorsError::Unknown) } else { Ok(()) }
        })
    }
}

/// The file's present state; `None` if there is no file.
fn stamp(path: &Path) -> Result<Option<FileStamp>, OperatorsError> {
    files::if_exists(FileStamp::of(path)).map_err(io_error(path))
}

/// Reads the list; empty if there is no file.
fn load(path: &Path) -> Result<Vec<Operator>, OperatorsError> {
    let text = files::if_exists(files::read_text(path)).map_err(io_error(path))?;
    let Some(text) = text else { return Ok(Vec::new()) };
    let malformed = |line| OperatorsError::Malformed { path: path.to_owned(), line };
    let file: OperatorsFile =
        serde_json::from_str(&text).map_err(|error| malformed(error.line()))?;
    if file.version == VERSION { Ok(file.operators) } else { Err(malformed(1)) }
}

/// Changes the list under a lock, so that two command lines do not undo each other. Durable when this returns.
fn change(
    path: &Path,
    edit: impl FnOnce(&mut Vec<Operator>) -> Result<(), OperatorsError>,
) -> Result<(), OperatorsError> {
    let folder = files::parent(path);
    files::create_dir(folder).map_err(io_error(folder))?;
    let _lock =
        FileLock::acquire_within(&path.with_extension("lock"), limits::OPERATORS_LOCK_PATIENCE)?;
    let mut operators = load(path)?;
    edit(&mut operators)?;
    let file = OperatorsFile { version: VERSION, operators };
    let mut text =
        serde_json::to_vec_pretty(&file).map_err(io::Error::from).map_err(io_error(path))?;
    text.push(b'\n');
    files::replace(&OsDisk::shared(), path, &text).map_err(io_error(path))
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

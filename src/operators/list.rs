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

    /// Whether the operator is on the list exactly as it is here: not revoked, and with the same role and token.
    pub fn has(&self, operator: &Operator) -> Result<bool, OperatorsError> {
        Ok(self.list()?.contains(operator))
    }

    /// Prepares an operator with a fresh token. It is on the list after [`NewOperator::add`]; until then nobody else can change
    /// the list.
    pub fn prepare(
        &self,
        name: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<NewOperator, OperatorsError> {
        if !is_name(name) {
            return Err(OperatorsError::Name);
        }
        let mut list = Change::begin(&self.path)?;
        if list.operators.iter().any(|operator| operator.name == name) {
            return Err(OperatorsError::Exists);
        }
        if list.operators.len() >= limits::OPERATORS_MAX {
            return Err(OperatorsError::Full);
        }
        let token = OperatorToken::random();
        list.operators.push(Operator::new(name, role, now, &token));
        Ok(NewOperator { token, list })
    }

    /// Adds an operator and gives its token, durable when this returns.
    pub fn add(
        &self,
        name: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<OperatorToken, OperatorsError> {
        self.prepare(name, role, now)?.add()
    }

    /// Removes an operator; its token is refused from the next call on.
    pub fn revoke(&self, name: &str) -> Result<(), OperatorsError> {
        let mut list = Change::begin(&self.path)?;
        let before = list.operators.len();
        list.operators.retain(|operator| operator.name != name);
        if list.operators.len() == before { Err(OperatorsError::Unknown) } else { list.commit() }
    }
}

/// An operator that is not on the list yet. A crash or a drop before [`NewOperator::add`] leaves no trace of it, so a token can
/// be shown before it is valid: no valid token is ever one that nobody saw.
pub struct NewOperator {
    token: OperatorToken,
    list: Change,
}

impl NewOperator {
    /// Its token, which is not valid yet.
    pub const fn token(&self) -> &OperatorToken {
        &self.token
    }

    /// Puts it on the list, durable when this returns, and gives its token.
    ///
    /// # Errors
    /// If the list cannot be written; then the token is not valid.
    pub fn add(self) -> Result<OperatorToken, OperatorsError> {
        self.list.commit()?;
        Ok(self.token)
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

/// A change of the list, under a lock so that two command lines do not undo each other.
struct Change {
    path: PathBuf,
    operators: Vec<Operator>,
    _lock: FileLock,
}

impl Change {
    /// Locks and reads the list.
    fn begin(path: &Path) -> Result<Self, OperatorsError> {
        let folder = files::parent(path);
        files::create_dir(folder).map_err(io_error(folder))?;
        let lock = path.with_extension("lock");
        let lock = FileLock::acquire_within(&lock, limits::OPERATORS_LOCK_PATIENCE)?;
        Ok(Self { path: path.to_owned(), operators: load(path)?, _lock: lock })
    }

    /// Replaces the file. Durable when this returns.
    fn commit(self) -> Result<(), OperatorsError> {
        let Self { path, operators, _lock } = self;
        let file = OperatorsFile { version: VERSION, operators };
        let mut text =
            serde_json::to_vec_pretty(&file).map_err(io::Error::from).map_err(io_error(&path))?;
        text.push(b'\n');
        files::replace(&OsDisk::shared(), &path, &text).map_err(io_error(&path))
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
    fn a_prepared_operator_is_nobody_until_it_is_added() {
        let data = tempfile::tempdir().unwrap();
        let operators = Operators::of(data.path());
        let dropped = operators.prepare("ann", Role::Reader, Timestamp::EPOCH).unwrap();
        let shown = dropped.token().reveal().to_owned();
        assert!(operators.authenticate(&shown).unwrap().is_none());
        drop(dropped);
        assert!(operators.list().unwrap().is_empty());
        let again = operators.prepare("ann", Role::Reader, Timestamp::EPOCH).unwrap();
        let shown_again = again.token().reveal().to_owned();
        assert_eq!(again.add().unwrap().reveal(), shown_again);
        assert!(operators.authenticate(&shown_again).unwrap().is_some());
        assert!(operators.authenticate(&shown).unwrap().is_none());
    }

    #[test]
    fn an_operator_is_the_same_only_until_it_is_revoked_or_added_anew() {
        let data = tempfile::tempdir().unwrap();
        let operators = Operators::of(data.path());
        let token = operators.add("ann", Role::Admin, Timestamp::EPOCH).unwrap();
        let ann = operators.authenticate(token.reveal()).unwrap().unwrap();
        operators.add("bob", Role::Admin, Timestamp::EPOCH).unwrap();
        assert!(operators.has(&ann).unwrap());
        operators.revoke("ann").unwrap();
        assert!(!operators.has(&ann).unwrap());
        operators.add("ann", Role::Admin, Timestamp::EPOCH).unwrap();
        assert!(!operators.has(&ann).unwrap(), "the token is another");
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

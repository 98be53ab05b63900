//! The file of operators: read whole, replaced whole.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::operator::Operator;
use crate::{
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

/// The file's present state; `None` if there is no file.
pub(super) fn stamp(path: &Path) -> Result<Option<FileStamp>, OperatorsError> {
    files::if_exists(FileStamp::of(path)).map_err(io_error(path))
}

/// Reads the list; empty if there is no file.
pub(super) fn load(path: &Path) -> Result<Vec<Operator>, OperatorsError> {
    let text = files::if_exists(files::read_text(path)).map_err(io_error(path))?;
    let Some(text) = text else { return Ok(Vec::new()) };
    let malformed = |line| OperatorsError::Malformed { path: path.to_owned(), line };
    let file: OperatorsFile =
        serde_json::from_str(&text).map_err(|error| malformed(error.line()))?;
    if file.version == VERSION { Ok(file.operators) } else { Err(malformed(1)) }
}

/// Changes the list under a lock, so that two command lines do not undo each other. Durable when this returns.
pub(super) fn change(
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

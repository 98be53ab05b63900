//! Why the list of operators cannot be read or changed.

use std::{io, path::PathBuf};

use crate::{files::LockError, limits};

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

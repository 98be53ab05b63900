//! What can go wrong with the list of operators.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    files::DataDirectoryError,
    limits,
    registry::{ChangeError, StoreError},
};

/// Why the list could not be read or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// The name is none of a node.
    #[error(
        "a node's name is 1 to {} letters, digits, '.', '_' and '-'",
        limits::CLUSTER_NODE_NAME_BYTES_MAX
    )]
    NodeName,
    /// The registry is that of a single machine.
    #[error("this server is in no cluster; `dispatchd cluster init` begins one")]
    NoCluster,
    /// The name is taken.
    #[error(
        "the cluster has a node of this name already; if that machine is gone, run `dispatchd cluster remove` first"
    )]
    NodeExists,
    /// No such node.
    #[error("the cluster has no node of this name; `dispatchd cluster status` lists them")]
    NodeUnknown,
    /// There are as many nodes and invites as there may be.
    #[error(
        "the cluster has {} nodes and open invites, which is the most",
        limits::CLUSTER_MEMBERS_MAX
    )]
    ClusterFull,
    /// No server runs. A change of a stopped node's files would take it out of the shared log.
    #[error("no server runs on this data directory; start it, or run this on another node")]
    Stopped,
    /// A row is none that was written.
    #[error("the registry has an operator that cannot be read")]
    Damaged,
    /// The registry of the running server takes no changes yet.
    #[error("the server still loads its registry; try again once it is ready")]
    Loading,
    /// The registry could not be read or changed. A change that failed while it was written may become durable later.
    #[error("{0}")]
    Registry(String),
    /// The running server could not be asked. It may have made the change.
    #[error("the running server did not answer: {0}")]
    Unanswered(String),
}

impl From<ChangeError> for OperatorsError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Loading => Self::Loading,
            error => Self::Registry(error.to_string()),
        }
    }
}

impl From<StoreError> for OperatorsError {
    fn from(error: StoreError) -> Self {
        Self::Registry(error.to_string())
    }
}

/// Why the list of a data directory could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The directory is none, or another process uses it that takes no changes of operators.
    #[error(transparent)]
    Directory(#[from] DataDirectoryError),
    /// A server runs, and no socket can have the path.
    #[error(
        "{}: a running server cannot be asked by a socket with so long a path ({} bytes); stop it first, or name server.data by a \
         shorter path, such as a symbolic link, and restart it",
        .0.display(), .0.as_os_str().len()
    )]
    PathTooLong(PathBuf),
    /// A file cannot be read or removed, or the socket cannot be used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of former versions is not a list of operators.
    #[error(
        "{}: not a list of operators (line {line}); move it away, and add the operators again",
        .path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where reading stopped.
        line: usize,
    },
    /// The registry's store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The list of former versions cannot be taken over.
    #[error(transparent)]
    List(#[from] OperatorsError),
}

/// An error of the file at `path`.
pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> ReachError + '_ {
    |source| ReachError::Io { path: path.to_owned(), source }
}

//! [`LostLogError`]: why a lost node's log gives no more.

use crate::{
    object_storage::StoreError,
    query_log::{fetch::FetchError, search::ReadError},
};

/// Why a lost node's log gives no more.
#[derive(Debug, thiserror::Error)]
pub enum LostLogError {
    /// The copies cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A fetched file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk has not enough free space for an hour.
    #[error("this machine has too little free space to fetch an hour of {0} bytes")]
    Full(u64),
}

impl LostLogError {
    /// Whether nobody waited any more.
    pub const fn is_stop(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Store(StoreError::Stopped)))
    }
}

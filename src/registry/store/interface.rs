//! The traits that a store implements.

use std::{collections::HashSet, path::Path, sync::Arc};

use zeroize::Zeroizing;

use super::{
    error::StoreError,
    mutation::{Mutation, Row},
};
use crate::{
    clock::Timestamp,
    ids::AccountId,
    registry::{account::Account, packed::Packed},
};

/// What is the store's own: made with it and kept with it.
#[derive(Clone)]
pub(in crate::registry) struct Identity {
    /// The key of [`crate::registry::Subject`].
    pub(in crate::registry) subject_key: Zeroizing<[u8; 32]>,
    /// When the store was made: it knows nothing of what ended before.
    pub(in crate::registry) founded_at: Timestamp,
}

/// A durable set of rows. Used by one thread at a time.
pub(in crate::registry) trait Store: Send {
    fn identity(&self) -> Identity;

    /// The number of the last batch that was committed.
    fn last_batch(&self) -> u64;

    /// Reading, by any number of threads, of what is committed.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Shows every row that is no account: ended handles, then unrecorded changes in their order.
    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError>;

    /// Makes `mutations` durable, all or none, as batch number `batch`. After an error the store takes no more until
    /// [`Store::reopen`] has said whether this batch is durable: an error from the disk leaves that open.
    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError>;

    /// Opens the store anew after a failed commit and returns the number of the last durable batch.
    fn reopen(&mut self) -> Result<u64, StoreError>;
}

/// Reads what is committed.
pub(in crate::registry) trait Reader: Send + Sync {
    /// An account.
    fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError>;

    /// Which of these accounts there are: faster for many than reading them.
    fn known(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError>;

    /// Shows each account once, in packed form, by one of `parts` readers that share the work.
    fn packed(
        &self,
        part: usize,
        parts: usize,
        visit: &mut dyn FnMut(Packed<'_>),
    ) -> Result<(), StoreError>;

    /// Shows each account once, in the order of their ids, as long as `visit` says to go on.
    fn accounts(&self, visit: &mut dyn FnMut(Account) -> bool) -> Result<(), StoreError>;

    /// Writes all there is at this moment into a new store file.
    fn copy(&self, to: &Path) -> Result<(), StoreError>;
}

//! The durable side of the registry: rows, and the trait that a store of them implements.
//!
//! The index and the store apply the same [`Mutation`]s, so they cannot disagree: what is visible is what is durable.
//! The embedded store is [`redb::RedbStore`]; a clustered one comes behind the same trait.

mod redb;
mod rows;

#[cfg(test)]
pub(super) mod memory;
#[cfg(test)]
mod tests;

use std::{io, path::PathBuf};

use zeroize::Zeroizing;

use crate::{handle::Handle, ids::DeviceId};

use super::{
    changes::Change,
    device::Device,
    entry::{Claim, Ended},
};

pub(super) use redb::RedbStore;

/// One row, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Device(DeviceId, Device),
    Claim(Handle, Claim),
    Ended(Handle, Ended),
    /// A change that the log is not known to hold yet, by its place in the order of changes.
    Unrecorded(u64, Change),
}

/// The key of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Device(DeviceId),
    Claim(Handle),
    Ended(Handle),
    Unrecorded(u64),
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    Put(Row),
    Remove(Key),
}

/// A durable set of rows. Used by one thread at a time.
pub(super) trait Store: Send {
    /// The key of [`super::Subject`], made with the store.
    fn subject_key(&self) -> Zeroizing<[u8; 32]>;

    /// The number of the last batch that was committed.
    fn last_batch(&self) -> u64;

    /// Shows every row once: devices, then claims, then ended handles, then unrecorded changes in their order.
    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError>;

    /// Makes `mutations` durable, all or none, as batch number `batch`. After an error the store takes no more until
    /// [`Store::reopen`] has said whether this batch is durable: an error from the disk leaves that open.
    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError>;

    /// Opens the store anew after a failed commit and returns the number of the last durable batch.
    fn reopen(&mut self) -> Result<u64, StoreError>;
}

/// The store cannot be used. Never holds a row's content.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the registry store {0} is in use by another process")]
    Locked(PathBuf),
    /// The file is something else.
    #[error("{0} is not a registry store")]
    NotOurs(PathBuf),
    /// A later version of dispatchd wrote it.
    #[error("the registry store was written by a later version (format {0})")]
    FormatUnknown(u8),
    /// Its content contradicts itself.
    #[error("the registry store is damaged: {0}")]
    Damaged(String),
    /// A row cannot be read.
    #[error("the registry store has an unreadable row in table {0}")]
    RowUnreadable(&'static str),
    /// The operating system.
    #[error("the registry store cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// A commit failed before; the store has not been opened anew yet.
    #[error("the registry store failed before and is not open")]
    NotOpen,
}

//! The traits that a store implements: what it stores, the steps that change it, and why it cannot be used.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    registry::{
        account::Account,
        expiring::{ExpiringRow, RowKey},
        handle_state::Tombstone,
        packed::Packed,
    },
    shared_log::Head,
    vocabulary::Change,
};

/// What is the store's own: made with it and kept with it.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The key of [`crate::registry::Subject`].
    pub(crate) subject_key: Zeroizing<[u8; 32]>,
    /// When the store was made: it knows nothing of what ended before.
    pub(crate) founded_at: Timestamp,
}

/// The last entry of the shared log whose change a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Its place and hash.
    pub(crate) head: Head,
    /// When it was decided. The next one is decided later, whatever the clocks say.
    pub(crate) decided_at: Timestamp,
}

impl Applied {
    /// Of a store that follows no shared log.
    pub(crate) const NONE: Self = Self { head: Head::EMPTY, decided_at: Timestamp::EPOCH };
}

/// A durable set of rows. Used by one thread at a time.
pub(crate) trait Store: Send {
    fn identity(&self) -> Identity;

    /// The number of the last batch that was committed.
    fn last_batch(&self) -> u64;

    /// The last entry of the shared log that was committed.
    fn applied(&self) -> Applied;

    /// Reading, by any number of threads, of what is committed.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Shows every row that is no account: ended handles, unrecorded changes in their order, expiring rows.
    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError>;

    /// Makes `mutations` durable, all or none, as batch number `batch`. After an error the store takes no more until
    /// [`Store::reopen`] has said whether this batch is durable: an error from the disk leaves that open.
    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError>;

    /// Opens the store anew after a failed commit and returns the number of the last durable batch.
    fn reopen(&mut self) -> Result<u64, StoreError>;
}

/// Reads what is committed.
pub(crate) trait Reader: Send + Sync {
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

    /// Writes what there is at this moment into a new store file, as far as the copy is for that.
    fn copy(&self, to: &Path, copy_for: CopyFor) -> Result<(), StoreError>;
}

/// What a copy of the store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFor {
    /// A node of the same cluster: it has all there is, with the operators and the place in the shared log.
    Joiner,
    /// Another time: it has no operators, or it would let in whoever was revoked since, and belongs to no cluster.
    Backup,
}

/// A change that the log is not known to hold yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// Its place in the order of all changes of this store.
    pub(crate) place: u64,
    /// When it was decided: the log has its record later, never earlier.
    pub decided_at: Timestamp,
    /// The change.
    pub change: Change,
}

/// What is in the store besides accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Tombstone(Handle, Tombstone),
    Unrecorded(Unrecorded),
    Expiring(RowKey, ExpiringRow),
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    PutAccount {
        account: Account,
        /// A device by which the index finds the account as it was; none if it is new.
        known_by: Option<DeviceId>,
    },
    RemoveAccount {
        id: AccountId,
        /// A device by which the index finds it.
        known_by: DeviceId,
    },
    /// A device checked in, and no lapse of its lease is recorded: what nearly all changes are.
    CheckIn {
        account: AccountId,
        device: DeviceId,
        at: Timestamp,
    },
    PutTombstone(Handle, Tombstone),
    RemoveTombstone(Handle),
    PutUnrecorded(Unrecorded),
    /// By its place.
    RemoveUnrecorded(u64),
    PutRow(RowKey, ExpiringRow),
    RemoveRow(RowKey),
    /// The store now holds the change of this entry, and of all before it. [`Applied::NONE`]: it follows no shared log any more.
    Applied(Applied),
}

impl Mutation {
    /// The step that makes the stored account `was` what `account` is. None if they are the same.
    pub(crate) fn of(was: &Account, account: Account) -> Option<Self> {
        let known_by = was.devices.first()?.id;
        if account.devices.is_empty() {
            Some(Self::RemoveAccount { id: account.id, known_by })
        } else if account == *was {
            None
        } else if let Some(device) = account.renewed_since(was) {
            let (device, at) = (device.id, device.last_check_in_at);
            Some(Self::CheckIn { account: account.id, device, at })
        } else {
            Some(Self::PutAccount { account, known_by: Some(known_by) })
        }
    }
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
    /// Another version of dispatchd wrote it.
    #[error("the registry store was written by another version (format {0})")]
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
    /// What was to be stored could not be had.
    #[error("{0}")]
    Source(String),
    /// A commit failed before; the store has not been opened anew yet.
    #[error("the registry store failed before and is not open")]
    NotOpen,
}

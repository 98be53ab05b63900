//! What is stored, and the steps that change it.

use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, DeviceId},
    registry::{account::Account, handle_state::Tombstone},
    vocabulary::Change,
};

/// A change that the log is not known to hold yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// Its place in the order of all changes of this store.
    pub(in crate::registry) place: u64,
    /// When it was decided: the log has its record later, never earlier.
    pub decided_at: Timestamp,
    /// The change.
    pub change: Change,
}

/// What is in the store besides accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Row {
    Tombstone(Handle, Tombstone),
    Unrecorded(Unrecorded),
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Mutation {
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
    PutTombstone(Handle, Tombstone),
    RemoveTombstone(Handle),
    PutUnrecorded(Unrecorded),
    /// By its place.
    RemoveUnrecorded(u64),
}

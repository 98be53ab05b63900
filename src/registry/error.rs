//! What can go wrong, one type for each operation.

use crate::registry::store::StoreError;

/// The registry is not loaded yet: nothing can be said about any handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the registry is loading")]
pub struct Loading;

/// A token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No device has this token.
    #[error("no device has this token")]
    Invalid,
    /// It cannot be told yet.
    #[error(transparent)]
    Loading(#[from] Loading),
}

/// A change could not be made, whatever it was. All of these pass: the same call succeeds later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The registry is not loaded, or its writer not started.
    #[error("the registry is loading")]
    Loading,
    /// More changes wait than the service takes on.
    #[error("too many registry changes wait")]
    Overloaded,
    /// The store cannot be written, or its disk hangs. Nothing has changed, except if the disk failed in the very act: then
    /// it is decided, by what is durable, before the next change.
    #[error("the registry store cannot be written")]
    StoreUnwritable,
    /// The log cannot be written. Either nothing has changed, or the change is made and its record will follow.
    #[error("the log cannot be written")]
    LogUnwritable,
    /// The change is larger than one entry of the shared log may be. Callers that can divide it do so.
    #[error("the change is larger than an entry of the shared log may be")]
    TooLarge,
    /// This node of a cluster must not change anything; see [`Hold`](super::Hold). Another one may.
    #[error("this node of the cluster takes no changes now; another one does")]
    Held,
    /// The service is stopping.
    #[error("the registry is stopping")]
    Stopped,
}

/// A command of a device could not be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// There is no such device (any more).
    #[error("no such device")]
    DeviceUnknown,
    /// The device does not back this handle.
    #[error("the device does not back this handle")]
    NotBound,
    /// The account holds as many handles as it may hold.
    #[error("the account holds {handles_max} handles already")]
    TooManyHandles {
        /// How many it may hold.
        handles_max: usize,
    },
    /// The account to join has no device any more, so it is gone, or the device that invites is not in it.
    #[error("the account to join is gone")]
    AccountGone,
    /// The account to join has as many devices as it may have.
    #[error("the account has {devices_max} devices already")]
    TooManyDevices {
        /// How many it may have.
        devices_max: usize,
    },
    /// The device's name is longer than [`crate::limits::DEVICE_NAME_BYTES_MAX`].
    #[error("the device's name is too long")]
    NameTooLong,
    /// Nothing wrong with the request.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// The registry could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer's thread could not be started.
    #[error("the registry's writer could not be started: {0}")]
    Thread(std::io::Error),
    /// The store follows no shared log.
    #[error(
        "the registry's store has left the shared log, or never followed it: \
         join the cluster with an empty data directory"
    )]
    OutsideLog,
    /// A step out of order: load follows open once, start follows load once.
    #[error("the registry was not opened, loaded and started in this order, each once")]
    OutOfOrder,
}

//! What can go wrong, one type for each operation.

use std::time::Duration;

use super::method_config::InvalidKey;
use crate::{
    registry::{ChangeError, DeviceError},
    vocabulary::Limit,
};

/// No code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// The request exceeds a limit on sent codes.
    #[error("too many codes were requested")]
    RateLimited {
        /// The first limit that was exceeded.
        limit: Limit,
        /// The same request can succeed after this span.
        retry_after: Duration,
    },
    /// Sessions, deliveries or counted senders are at their maximum.
    #[error("too many verifications are open")]
    Overloaded,
    /// The code was not sent, or the delivery has not learned whether it was.
    #[error("the code could not be delivered")]
    DeliveryFailed {
        /// The same request can succeed after this span.
        retry_after: Duration,
    },
    /// The account has proved the handle before, but the registry could not bind it.
    #[error(transparent)]
    Bind(#[from] DeviceError),
}

/// A code did not confirm anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// It is not the code that was sent last.
    #[error("the code is wrong")]
    CodeWrong {
        /// Attempts that remain.
        attempts_left: u8,
    },
    /// No session has this id. It never existed, was confirmed, or expired long ago.
    #[error("no such verification")]
    Unknown,
    /// The session has expired.
    #[error("the code has expired")]
    Expired,
    /// The session has no attempts left.
    #[error("too many wrong codes")]
    TooManyAttempts,
    /// The code was right, but the registry could not bind the handle. The session stays open if a retry can help.
    #[error(transparent)]
    Bind(#[from] DeviceError),
    /// The code was right, but the registry could not deregister the handle. The session stays open.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// No link code was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The account has [`LINK_CODES_PER_ACCOUNT_MAX`](crate::limits::LINK_CODES_PER_ACCOUNT_MAX) open link codes.
    #[error("the account has too many open link codes")]
    TooMany {
        /// The oldest of them expires after this span.
        retry_after: Duration,
    },
    /// All accounts together have [`LINK_CODES_MAX`](crate::limits::LINK_CODES_MAX) open link codes.
    #[error("too many link codes are open")]
    Overloaded,
}

/// A delivery method cannot be opened: the configuration key, and what is wrong with its value.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {why}")]
pub struct OpenError {
    /// The key with its sections, separated by dots.
    pub key: String,
    /// What is wrong with its value.
    pub why: String,
}

impl OpenError {
    /// An error of a key of the delivery method `name`.
    pub(super) fn of(name: &'static str) -> impl Fn(InvalidKey) -> Self {
        move |(key, why)| Self { key: format!("ownership.delivery.{name}.{key}"), why }
    }
}

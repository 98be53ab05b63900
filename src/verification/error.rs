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
    /// Sessions or deliveries are at the maximum for such an asker.
    #[error("too many verifications are open")]
    Overloaded,
    /// The code was not sent, or the delivery has not learned whether it was.
    #[error("the code could not be delivered")]
    DeliveryFailed {
        /// The same request can succeed after this span.
        retry_after: Duration,
    },
    /// No code can be sent to the handle. Only an asker with a token is told.
    #[error("no code can be delivered to the handle")]
    DeliveryRefused,
    /// The registry could not begin the session, or bind a handle that the account has proved before.
    #[error(transparent)]
    Registry(#[from] DeviceError),
}

impl From<ChangeError> for BeginError {
    fn from(error: ChangeError) -> Self {
        Self::Registry(error.into())
    }
}

/// A code did not confirm anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// It is not the code that was sent.
    #[error("the code is wrong")]
    CodeWrong {
        /// Attempts that remain.
        attempts_left: u8,
    },
    /// It was sent, and a later code of the session replaced it. It costs no attempt.
    #[error("a newer code has replaced this one")]
    CodeOvertaken,
    /// No session has this id. It never existed, was confirmed, or expired long ago.
    #[error("no such verification")]
    Unknown,
    /// The session has expired.
    #[error("the code has expired")]
    Expired,
    /// The session has no attempts left.
    #[error("too many wrong codes")]
    TooManyAttempts {
        /// Another code can be requested after this span.
        retry_after: Duration,
    },
    /// The registry could not do what the code proves, or count the attempt. The session stays open.
    #[error(transparent)]
    Registry(#[from] DeviceError),
}

impl From<ChangeError> for ConfirmError {
    fn from(error: ChangeError) -> Self {
        Self::Registry(error.into())
    }
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
    /// The registry could not store the code.
    #[error(transparent)]
    Registry(#[from] ChangeError),
}

/// No device signed up with a link code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The code is unknown, was used or has expired, or the device that requested it has signed out.
    #[error("the link code is not valid")]
    CodeInvalid,
    /// The registry could not sign the device up. The code stays valid.
    #[error(transparent)]
    Registry(#[from] DeviceError),
}

impl From<ChangeError> for JoinError {
    fn from(error: ChangeError) -> Self {
        Self::Registry(error.into())
    }
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

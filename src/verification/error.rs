//! What can go wrong, one type for each operation.

use std::time::Duration;

use crate::registry::{BindError, ChangeError};

/// Which limit of sent codes was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendLimit {
    /// The pause between two codes of one session.
    Resend,
    /// Codes to one handle in a day.
    Handle,
    /// Codes asked for by one account in a day.
    Account,
    /// Codes asked for by one network in a day.
    Network,
}

impl SendLimit {
    /// The limit's public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Handle => "codes-per-handle",
            Self::Account => "codes-per-account",
            Self::Network => "codes-per-network",
        }
    }
}

/// No code was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// Too many codes.
    #[error("too many codes were asked for")]
    RateLimited {
        /// Which limit.
        limit: SendLimit,
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// More sessions are open than the service takes on.
    #[error("too many verifications are open")]
    Overloaded,
    /// The code could not be sent, or nobody knows whether it was.
    #[error("the code could not be delivered")]
    DeliveryFailed {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// The registry could not bind a handle whose proof the account holds already.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// A code did not confirm anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// Not the code that was sent last.
    #[error("the code is wrong")]
    CodeWrong {
        /// How many more attempts there are.
        attempts_left: u8,
    },
    /// No such session: never begun, confirmed already, or so long ago that it is forgotten.
    #[error("no such verification")]
    Unknown,
    /// The code came too late.
    #[error("the code has expired")]
    Expired,
    /// The session's attempts are used up.
    #[error("too many wrong codes")]
    TooManyAttempts,
    /// The code was right, but the registry could not bind the handle. The session stays open if trying again helps.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The code was right, but the registry could not take the handle back. The session stays open.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// No link code was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The account has as many open link codes as it may have.
    #[error("the account has too many open link codes")]
    TooMany {
        /// When the oldest of them ends.
        retry_after: Duration,
    },
    /// More link codes are open than the service takes on.
    #[error("too many link codes are open")]
    Overloaded,
}

//! Why there is no answer.

use crate::{
    handle::HandleError,
    query_log::{AppendError, Reason},
    quota::{Exceeded, Limit},
};

/// Why there is no answer. Never to be read as `sms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No device has this token.
    #[error("no device has this token")]
    TokenInvalid,
    /// The text is no handle.
    #[error("not a handle: {}", .0.reason())]
    Handle(HandleError),
    /// A limit was hit.
    #[error("a limit was hit")]
    Exceeded(Exceeded),
    /// The registry is being loaded.
    #[error("the registry is loading")]
    RegistryLoading,
    /// The log cannot be written.
    #[error("the log cannot be written")]
    LogUnwritable,
    /// The log's queue is full.
    #[error("overloaded")]
    Overloaded,
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Overloaded => Self::Overloaded,
            AppendError::Unwritable => Self::LogUnwritable,
        }
    }
}

impl Refusal {
    /// How it is recorded: the reason, and the status of the answer.
    pub(super) fn recorded(self) -> (Reason, u16) {
        match self {
            Self::TokenInvalid => (Reason::TokenInvalid, 401),
            Self::Handle(_) => (Reason::HandleInvalid, 400),
            Self::Exceeded(exceeded) if exceeded.limit == Limit::NewHandles => {
                (Reason::LookupQuota, 429)
            }
            Self::Exceeded(_) => (Reason::RateLimited, 429),
            Self::RegistryLoading => (Reason::RegistryLoading, 503),
            Self::LogUnwritable | Self::Overloaded => (Reason::Overloaded, 503),
        }
    }
}

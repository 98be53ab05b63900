//! Why there is no answer.

use crate::{
    handle::HandleError, query_log::AppendError, quota::Exceeded, vocabulary::ProblemCode,
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
    /// The problem that the asker gets, and the reason of the record.
    #[must_use]
    pub const fn code(self) -> ProblemCode {
        match self {
            Self::TokenInvalid => ProblemCode::TokenInvalid,
            Self::Handle(_) => ProblemCode::HandleInvalid,
            Self::Exceeded(exceeded) => exceeded.limit.problem(),
            Self::RegistryLoading => ProblemCode::RegistryLoading,
            Self::LogUnwritable => ProblemCode::LogUnwritable,
            Self::Overloaded => ProblemCode::Overloaded,
        }
    }
}

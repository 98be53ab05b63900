//! Who asks, and what comes back: an answer or a refusal.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{
    handle::{Handle, HandleError},
    ids::RequestId,
    query_log::AppendError,
    quota::Exceeded,
    registry::Subject,
    vocabulary::{ProblemCode, Route},
};

/// Who asks, as far as the edge knows before it reads the request.
#[derive(Clone, Copy)]
pub struct Caller {
    /// The request's id, which the answer and every record of the request contain.
    pub request: RequestId,
    /// The client's address.
    pub ip: IpAddr,
    /// When the request arrived.
    pub arrived: Instant,
}

/// The answer for one handle.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The canonical form of what was asked.
    pub handle: Handle,
    /// Which way.
    pub route: Route,
    /// Whose it is, as the asking account sees it; only with the messaging service.
    pub subject: Option<Subject>,
    /// How long the answer may be reused.
    pub expires_in: Duration,
}

/// Why there is no answer. Never to be read as `sms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No device has this token.
    TokenInvalid,
    /// The text is no handle.
    Handle(HandleError),
    /// The request is malformed as a whole.
    Malformed(ProblemCode),
    /// A limit was exceeded.
    Exceeded(Exceeded),
    /// The registry is being loaded.
    RegistryLoading,
    /// The registry may lack changes that were acknowledged.
    RegistryBehind,
    /// The registry has stopped following the shared log.
    RegistryDiverged,
    /// The log cannot be written.
    LogUnwritable,
    /// The log's queue is full, or the thread that would answer is late.
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
    pub const fn code(self) -> ProblemCode {
        match self {
            Self::TokenInvalid => ProblemCode::TokenInvalid,
            Self::Handle(_) => ProblemCode::HandleInvalid,
            Self::Malformed(code) => code,
            Self::Exceeded(exceeded) => exceeded.problem(),
            Self::RegistryLoading => ProblemCode::RegistryLoading,
            Self::RegistryBehind => ProblemCode::RegistryBehind,
            Self::RegistryDiverged => ProblemCode::RegistryDiverged,
            Self::LogUnwritable => ProblemCode::LogUnwritable,
            Self::Overloaded => ProblemCode::Overloaded,
        }
    }
}

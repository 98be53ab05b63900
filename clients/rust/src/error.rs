//! Why a call has no result.

use std::{error, fmt, sync::Arc, time::Duration};

use crate::{
    problem::{Problem, is_temporary},
    vocabulary::HandleReason,
};

/// Why a call has no result. An error is never a route: the server could not tell.
///
/// No text of it holds a handle, a token or a code.
#[derive(Clone, Debug)]
pub enum Error {
    /// The server refused the call.
    Refused(Box<Problem>),
    /// The text is no handle. Show it for correction.
    NotAHandle(HandleReason),
    /// No answer came.
    NoAnswer(NoAnswer),
    /// Something other than dispatchd answered, such as a proxy.
    Foreign {
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` says.
        retry_after: Option<Duration>,
        /// The scheme, host and port that a redirect names. No redirect is followed.
        redirect: Option<String>,
    },
    /// An answer that this version cannot read, or that is not an answer to the question.
    Unreadable,
}

/// How an answer failed to come.
#[derive(Clone, Debug)]
pub enum NoAnswer {
    /// There was no connection, so the server did not see the request.
    NotSent(Arc<dyn error::Error + Send + Sync>),
    /// The connection broke. The server may have done what was asked.
    Lost(Arc<dyn error::Error + Send + Sync>),
    /// Time was up. The server may have done what was asked.
    TimedOut,
}

impl Error {
    /// Whether the same call can succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.is_temporary(),
            Self::Foreign { status, .. } => is_temporary(*status),
            Self::NoAnswer(_) => true,
            Self::NotAHandle(_) | Self::Unreadable => false,
        }
    }

    /// How long to wait at least before the same call, if the server said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem.retry_after.map(Duration::from_secs),
            Self::Foreign { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the server may have done what was asked, although it says that it failed.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.status >= 500,
            Self::Foreign { status, .. } => *status >= 500,
            Self::NoAnswer(NoAnswer::NotSent(_)) | Self::NotAHandle(_) => false,
            Self::NoAnswer(_) | Self::Unreadable => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) => problem.fmt(f),
            Self::NotAHandle(reason) => write!(f, "the text is no handle: {}", reason.as_str()),
            Self::NoAnswer(NoAnswer::NotSent(_)) => f.write_str("the server cannot be reached"),
            Self::NoAnswer(NoAnswer::Lost(_)) => {
                f.write_str("the connection broke before the answer")
            }
            Self::NoAnswer(NoAnswer::TimedOut) => f.write_str("the server did not answer in time"),
            Self::Foreign { status, .. } => {
                write!(f, "status {status}, and not an answer of dispatchd")
            }
            Self::Unreadable => f.write_str("the answer cannot be read"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NoAnswer(NoAnswer::NotSent(cause) | NoAnswer::Lost(cause)) => Some(&**cause),
            _ => None,
        }
    }
}

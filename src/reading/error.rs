//! Why a call gives nothing, or not everything.

use crate::{
    api::Invalid,
    audit::AuditError,
    query_log::{ForgottenError, OpenError, ReadError},
};

/// Why a call gives nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The request is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It cannot be noted who reads, so nothing is read.
    #[error("nothing is read unless the audit log notes it first: {0}")]
    NotNoted(#[source] AuditError),
    /// A segment of the query log cannot be read.
    #[error(transparent)]
    Segment(#[from] ReadError),
    /// The query log of a data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The audit log cannot be read.
    #[error(transparent)]
    AuditLog(#[from] AuditError),
    /// The log's directory or its keys cannot be read.
    #[error(transparent)]
    Forgotten(#[from] ForgottenError),
    /// Nobody waits for the answer any more.
    #[error("the call was ended before its answer was complete")]
    Stopped,
}

//! What exceeds a limit, and what an account has left of one.

use std::time::Duration;

use crate::{
    handle::Handle,
    limits,
    vocabulary::{ProblemCode, QuotaLimit},
};

/// What an account has left of its new handles, for the `RateLimit` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// New handles in 24 hours.
    pub limit: u32,
    /// New handles that the account may ask for now.
    pub remaining: u32,
    /// The span after which the whole allowance is available again.
    pub reset: Duration,
}

/// A limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub limit: QuotaLimit,
    /// The charge that this call needed.
    pub cost: u32,
    /// The same call can succeed after this span.
    pub retry_after: Duration,
}

impl Exceeded {
    /// The problem of a request that exceeds the limit.
    pub const fn problem(self) -> ProblemCode {
        match self.limit {
            QuotaLimit::NewHandles => ProblemCode::LookupQuota,
            _ => ProblemCode::RateLimited,
        }
    }
}

/// The size of records of these handles, as limits count it. None stands for a text that is no handle.
pub fn record_units<'a>(handles: impl Iterator<Item = Option<&'a Handle>>) -> usize {
    let more = |handle: Option<&Handle>| match handle {
        Some(Handle::Email(address)) => address.as_str().len() / limits::RECORD_UNIT_BYTES,
        Some(Handle::Phone(_)) | None => 0,
    };
    handles.map(|handle| 1 + more(handle)).sum()
}

/// A span in whole seconds, rounded up and at least 1, as `Retry-After` requires.
pub fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}

//! What exceeds a limit, and what an account has left of one.

use std::time::Duration;

use crate::{
    handle::Handle,
    limits,
    vocabulary::{ProblemCode, QuotaLimit},
};

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// The most that can be left.
    pub limit: u32,
    /// What is left now.
    pub remaining: u32,
    /// The span after which everything is left again.
    pub reset: Duration,
    /// The span over which everything is regained.
    pub window: Duration,
}

/// What an account has left of its new handles, for the `RateLimit` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// New handles of a day. They are used up first.
    pub daily: Left,
    /// New handles of an address book, which are regained over a long span. None for an account that holds no handle.
    pub import: Option<Left>,
}

impl Allowance {
    /// New handles that the account may ask for now.
    pub fn remaining(&self) -> u32 {
        self.daily.remaining.saturating_add(self.import.map_or(0, |import| import.remaining))
    }

    /// New handles that the account may ever ask for at once.
    pub(super) fn most(&self) -> u32 {
        self.daily.limit.saturating_add(self.import.map_or(0, |import| import.limit))
    }
}

/// A lookup call that was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// What is left now.
    pub allowance: Allowance,
    /// The places of the handles that were charged as new, in ascending order. One subscriber is charged once.
    pub new: Vec<usize>,
    /// How many of them were charged to the day, and how many to the address book.
    pub(super) parts: (u32, u32),
}

/// A limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub limit: QuotaLimit,
    /// The charge that this call needed.
    pub cost: u32,
    /// How much of the limit is left, if less than the cost. A smaller call may fit.
    pub remaining: u32,
    /// The most that can ever be left. A call that costs more never fits.
    pub most: u32,
    /// The same call can succeed after this span.
    pub retry_after: Duration,
}

impl Exceeded {
    /// Of an account that is flagged and asks for so many new handles.
    pub fn flagged(cost: usize) -> Self {
        Self::until_cleared(QuotaLimit::Flagged, u32::try_from(cost).unwrap_or(u32::MAX))
    }

    /// A limit on which waiting alone has no effect for long.
    pub(super) const fn until_cleared(limit: QuotaLimit, cost: u32) -> Self {
        Self { limit, cost, remaining: 0, most: cost, retry_after: limits::QUOTA_FLAGGED_PAUSE }
    }

    /// The problem of a request that exceeds the limit.
    pub const fn problem(self) -> ProblemCode {
        match self.limit {
            QuotaLimit::NewHandles
            | QuotaLimit::NetworkNewHandles
            | QuotaLimit::UnprovenNewHandles
            | QuotaLimit::SweptNumbers
            | QuotaLimit::Flagged => ProblemCode::LookupQuota,
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

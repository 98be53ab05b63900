//! [`Limit`]: the limits by name, and what an account has left of one.

use std::time::Duration;

use crate::vocabulary::ProblemCode;

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
    pub limit: Limit,
    /// The charge that this call needed.
    pub cost: u32,
    /// The same call can succeed after this span.
    pub retry_after: Duration,
}

/// The limits, as `RateLimit` headers and 429 answers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// New handles of one account.
    NewHandles,
    /// Lookup requests of one account.
    Requests,
    /// Sign-ups of one network.
    SignUps,
    /// Changes of one account: check-ins, claims, hiding and showing a handle.
    Changes,
}

impl Limit {
    /// The problem of a request that exceeds it.
    pub const fn problem(self) -> ProblemCode {
        match self {
            Self::NewHandles => ProblemCode::LookupQuota,
            Self::Requests | Self::SignUps | Self::Changes => ProblemCode::RateLimited,
        }
    }

    /// The limit's name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewHandles => "new-handles",
            Self::Requests => "requests",
            Self::SignUps => "sign-ups",
            Self::Changes => "changes",
        }
    }
}

/// A span in whole seconds, rounded up and at least 1, as `Retry-After` requires.
pub fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}

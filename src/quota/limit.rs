//! [`Limit`]: the limits by name, and what an account has left of one.

use std::time::Duration;

use crate::{handle::Handle, limits, vocabulary::ProblemCode};

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
    /// Lookups of one account, each handle of a batch counted.
    Lookups,
    /// Lookups from one network, each handle of a batch counted.
    NetworkLookups,
    /// Lookups of all accounts that hold no handle.
    UnprovenLookups,
    /// Sign-ups of one network.
    SignUps,
    /// Sign-ups of all networks.
    AllSignUps,
    /// Changes of one account: check-ins, claims, hiding and showing a handle.
    Changes,
}

impl Limit {
    /// Every limit, in the order of its declaration.
    pub const ALL: [Self; 8] = [
        Self::NewHandles,
        Self::Requests,
        Self::Lookups,
        Self::NetworkLookups,
        Self::UnprovenLookups,
        Self::SignUps,
        Self::AllSignUps,
        Self::Changes,
    ];

    /// The problem of a request that exceeds it.
    pub const fn problem(self) -> ProblemCode {
        match self {
            Self::NewHandles => ProblemCode::LookupQuota,
            _ => ProblemCode::RateLimited,
        }
    }

    /// The limit's name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewHandles => "new-handles",
            Self::Requests => "requests",
            Self::Lookups => "lookups",
            Self::NetworkLookups => "network-lookups",
            Self::UnprovenLookups => "unproven-lookups",
            Self::SignUps => "sign-ups",
            Self::AllSignUps => "all-sign-ups",
            Self::Changes => "changes",
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

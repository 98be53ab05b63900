//! Who asks, and what comes back.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{
    handle::Handle, ids::RequestId, quota::Allowance, registry::Subject, vocabulary::Route,
};

/// Who asks, as far as the edge knows.
#[derive(Clone, Copy)]
pub struct Caller {
    /// The request.
    pub request: RequestId,
    /// Where it came from.
    pub ip: IpAddr,
    /// When it arrived.
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

/// A lookup that was answered.
#[derive(Debug)]
pub struct Answered<A> {
    /// The answer.
    pub answer: A,
    /// What the account has left; nothing if quotas are off.
    pub allowance: Option<Allowance>,
}

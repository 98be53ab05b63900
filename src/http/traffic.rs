//! [`Traffic`]: what a listener answered, how long it took, and its connections.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Instant,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http_body::{Frame, SizeHint};
use utoipa::openapi::OpenApi;

use super::{
    calls::{Call, Calls, Timing},
    problem::{Code, Refused},
};
use crate::{
    metrics::{Histogram, Sharded},
    vocabulary::Limit,
};

/// Outcomes below this number are problems, by their number. The others are [`STATUSES`].
const PROBLEMS: usize = 64;
/// Numbers of limits are below this.
const LIMITS: usize = 32;
/// The statuses of answers without a problem. Others are counted as the last one.
const STATUSES: [u16; 10] = [200, 201, 202, 204, 206, 301, 303, 304, 308, 0];
const OUTCOMES: usize = PROBLEMS + STATUSES.len();

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered<'a> {
    /// The `operationId` of the call, or `other`.
    pub call: &'a str,
    /// The HTTP status. 0 stands for statuses that no call has.
    pub status: u16,
    /// The problem, if the request was refused.
    pub problem: Option<Code>,
    /// How many requests were answered so, since the start.
    pub requests: u64,
}

/// The counts of one listener.
#[derive(Debug)]
pub struct Traffic {
    calls: Calls,
    /// Answers by call and outcome.
    requests: Sharded<Box<[AtomicU64]>>,
    /// By call. `None` if the call is not timed.
    durations: Vec<Option<Histogram>>,
    /// Requests that each limit refused, by the limit's number.
    limits: [AtomicU64; LIMITS],
    connections: AtomicUsize,
    connections_refused: AtomicU64,
    handshakes_failed: AtomicU64,
}

impl Traffic {
    /// Counts at zero, for a listener with the calls of this description.
    pub fn of(description: &OpenApi) -> Arc<Self> {
        let calls = Calls::of(description);
        let cells = calls.all().len() * OUTCOMES;
        let make = || (0..cells).map(|_| AtomicU64::new(0)).collect();
        let is_timed = |timing| timing != Timing::None;
        let durations = calls.all().iter().map(|kind| is_timed(kind.timing).then(Default::default));
        Arc::new(Self {
            requests: Sharded::new(make),
            durations: durations.collect(),
            limits: Default::default(),
            connections: AtomicUsize::new(0),
            connections_refused: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            calls,
        })
    }

    /// The listener's calls.
    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Counts an answer whose head is ready, of a request that arrived at `arrived`. The time of a call that reads ends with
    /// the body: the answer that it returns tells when.
    pub(super) fn answered(
        self: &Arc<Self>,
        call: Call,
        arrived: Instant,
        response: Response,
    ) -> Response {
        let refused = response.extensions().get::<Refused>().copied();
        let outcome = match refused {
            Some(refused) => usize::from(refused.code.number()),
            None => PROBLEMS + status_index(response.status().as_u16()),
        };
        self.requests.add(|cells| &cells[call.0 * OUTCOMES + outcome], 1);
        if let Some(limit) = refused.and_then(|refused| refused.limit) {
            self.limits[usize::from(limit.number())].fetch_add(1, Relaxed);
        }
        match self.calls.all()[call.0].timing {
            Timing::None => response,
            Timing::Lookup => {
                self.observe(call, arrived);
                response
            }
            Timing::Read => {
                let traffic = Arc::clone(self);
                response.map(|body| Body::new(TimedBody { body, traffic, call, arrived }))
            }
        }
    }

    fn observe(&self, call: Call, arrived: Instant) {
        if let Some(Some(histogram)) = self.durations.get(call.0) {
            histogram.observe(arrived.elapsed());
        }
    }

    /// Counts a connection until what this returns is dropped.
    pub(super) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Relaxed);
        Connected(Arc::clone(self))
    }

    /// Counts a connection that was closed before its first request.
    pub(super) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Relaxed);
    }

    /// Counts a connection that ended within its TLS handshake.
    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }

    /// What was answered so far: every call and outcome that was met.
    pub fn requests(&self) -> Vec<Answered<'_>> {
        let mut all = Vec::new();
        for (number, kind) in self.calls.all().iter().enumerate() {
            for outcome in 0..OUTCOMES {
                let cell = number * OUTCOMES + outcome;
                let requests = self.requests.sum(|cells| &cells[cell]);
                if requests == 0 {
                    continue;
                }
                let problem = u8::try_from(outcome).ok().and_then(Code::from_number);
                let problem = problem.filter(|_| outcome < PROBLEMS);
                let plain = || STATUSES[outcome.saturating_sub(PROBLEMS)];
                let status = problem.map_or_else(plain, Code::status);
                all.push(Answered { call: &kind.name, status, problem, requests });
            }
        }
        all
    }

    /// The durations of lookups, by call.
    pub fn lookups(&self) -> impl Iterator<Item = (&str, &Histogram)> {
        self.timed(Timing::Lookup)
    }

    /// The durations of calls that read, by call.
    pub fn reads(&self) -> impl Iterator<Item = (&str, &Histogram)> {
        self.timed(Timing::Read)
    }

    fn timed(&self, timing: Timing) -> impl Iterator<Item = (&str, &Histogram)> {
        let calls = self.calls.all().iter().zip(&self.durations);
        let calls = calls.filter(move |(kind, _)| kind.timing == timing);
        calls.filter_map(|(kind, histogram)| Some((kind.name.as_str(), histogram.as_ref()?)))
    }

    /// Requests that this limit refused.
    pub fn refused_by(&self, limit: Limit) -> u64 {
        self.limits[usize::from(limit.number())].load(Relaxed)
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Connections that were closed before their first request: too many were open, or a load balancer's header was missing.
    pub fn connections_refused(&self) -> u64 {
        self.connections_refused.load(Relaxed)
    }

    /// Connections that ended within their TLS handshake.
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Relaxed)
    }
}

fn status_index(status: u16) -> usize {
    STATUSES.iter().position(|is| *is == status).unwrap_or(STATUSES.len() - 1)
}

/// A connection that is counted.
pub(super) struct Connected(Arc<Traffic>);

impl Connected {
    /// The counts that it is in.
    pub(super) fn traffic(&self) -> &Arc<Traffic> {
        &self.0
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// A body that measures its call when it ends or its client leaves.
struct TimedBody {
    body: Body,
    traffic: Arc<Traffic>,
    call: Call,
    arrived: Instant,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        self.traffic.observe(self.call, self.arrived);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_cell() {
        assert!(Code::ALL.iter().all(|code| usize::from(code.number()) < PROBLEMS));
        assert!(Limit::ALL.iter().all(|limit| usize::from(limit.number()) < LIMITS));
    }
}

//! What `/metrics` shows of the calls: requests, lookups, limits, codes, connections.

use std::sync::Arc;

use super::families::{Family, Labels, Value};
use crate::{
    dispatch::{LookupCounts, RefusalCounts},
    http::{proxies::Proxies, traffic::Traffic},
    metrics::Histogram,
    verification::{CodesSent, VerificationService},
    vocabulary::{Limit, ProblemCode},
};

/// The limit on open verification sessions, which no refused request names.
const SESSIONS: &str = "sessions";

/// Problems that a lookup meets. They are shown from the start: the rate of a counter needs the zero before its first one.
const OF_LOOKUPS: [ProblemCode; 13] = [
    ProblemCode::RequestInvalid,
    ProblemCode::HandleInvalid,
    ProblemCode::TokenInvalid,
    ProblemCode::BodyTooLarge,
    ProblemCode::ContentTypeUnsupported,
    ProblemCode::TooManyHandles,
    ProblemCode::RateLimited,
    ProblemCode::LookupQuota,
    ProblemCode::RegistryLoading,
    ProblemCode::RegistryBehind,
    ProblemCode::RegistryDiverged,
    ProblemCode::LogUnwritable,
    ProblemCode::Overloaded,
];

/// Where the counts are.
#[derive(Clone)]
pub struct Counters {
    /// The phones' listener.
    pub phones: Arc<Traffic>,
    /// The operators' listener.
    pub operators: Arc<Traffic>,
    /// The proxies in front of the phones' listener.
    pub proxies: Proxies,
    /// What became of lookups.
    pub lookups: Arc<LookupCounts>,
    /// Refused lookups that have no record of their own.
    pub unrecorded: Arc<RefusalCounts>,
    /// The verification sessions.
    pub verifications: Arc<VerificationService>,
    /// The codes that were sent.
    pub codes: Arc<CodesSent>,
}

impl Counters {
    pub(super) fn families(&self) -> Vec<Family> {
        let mut families = vec![self.requests()];
        families.extend(self.connections());
        families.push(self.unnamed_proxies());
        families.extend(self.lookups());
        families.push(self.limits());
        families.extend(self.verifications());
        families.push(durations(
            "read_duration",
            "From the arrival of a call that reads the logs until its answer has ended or its client has left",
            self.operators.reads(),
        ));
        families
    }

    fn listeners(&self) -> [(&'static str, &Traffic); 2] {
        [("phones", &self.phones), ("operators", &self.operators)]
    }

    fn requests(&self) -> Family {
        let help = "Answered requests, by the operationId of the call (other if it is none), HTTP status and problem code. What is no HTTP or has too large a head is not counted. A request whose body breaks off counts as answered with 400";
        let family = Family::counter("http_requests", help);
        self.listeners().into_iter().fold(family, |family, (listener, traffic)| {
            family.with_all(traffic.requests().iter().map(|answered| {
                let labels = vec![
                    ("listener", listener.into()),
                    ("call", answered.call.into()),
                    ("status", answered.status.to_string().into()),
                    ("problem", answered.problem.map_or("none", ProblemCode::code).into()),
                ];
                (labels, Value::Count(answered.requests))
            }))
        })
    }

    fn connections(&self) -> [Family; 3] {
        let labels = |listener: &'static str| vec![("listener", listener.into())];
        let open = Family::gauge("http_connections", "Open connections");
        let refused = Family::counter(
            "http_connections_refused",
            "Connections that were closed at once because too many were open",
        );
        let handshakes = Family::counter(
            "tls_handshakes_failed",
            "Connections that ended within their TLS handshake, by the client's fault or by that of the certificate",
        );
        let families = [open, refused, handshakes];
        self.listeners().into_iter().fold(
            families,
            |[open, refused, handshakes], (name, traffic)| {
                let (now, closed) = (traffic.connections(), traffic.connections_refused());
                [
                    open.with(labels(name), Value::Gauge(now as f64)),
                    refused.with(labels(name), Value::Count(closed)),
                    handshakes.with(labels(name), Value::Count(traffic.handshakes_failed())),
                ]
            },
        )
    }

    fn unnamed_proxies(&self) -> Family {
        let help = "Connections of phones whose first request names a proxy, from an address that server.trusted_proxies does not name";
        let seen = Value::Count(self.proxies.unnamed_seen());
        Family::counter("forwarded_by_unnamed_proxy", help).with(vec![], seen)
    }

    fn lookups(&self) -> [Family; 3] {
        let labels = |route: &'static str, reason: &'static str| -> Labels<'_> {
            vec![("route", route.into()), ("reason", reason.into())]
        };
        let answers = LookupCounts::of_answers().map(|(route, reason)| {
            let count = self.lookups.answered(route, reason);
            (labels(route.code(), reason.code()), Value::Count(count))
        });
        let refused = refusals(|problem| self.lookups.refused(problem))
            .map(|(problem, count)| (labels("refused", problem), Value::Count(count)));
        let unrecorded = refusals(|problem| self.unrecorded.of(problem))
            .map(|(problem, count)| (vec![("reason", problem.into())], Value::Count(count)));
        [
            Family::counter(
                "lookups",
                "Handles asked for, by route and reason: answers whose record is committed, and refusals",
            )
            .with_all(answers)
            .with_all(refused),
            Family::counter(
                "lookups_unrecorded",
                "Refused handles that the log counts together instead of recording each of them",
            )
            .with_all(unrecorded),
            durations(
                "lookup_duration",
                "From the arrival of a lookup until its answer or refusal is ready, with the commit of its record",
                self.phones.lookups(),
            ),
        ]
    }

    fn limits(&self) -> Family {
        let limits = Limit::ALL.iter().map(|limit| (limit.code(), self.phones.refused_by(*limit)));
        let sessions = self.verifications.session_counts().refused;
        let limits = limits.chain([(SESSIONS, sessions)]);
        Family::counter("refusals", "Requests that a limit refused").with_all(
            limits.map(|(name, count)| (vec![("limit", name.into())], Value::Count(count))),
        )
    }

    fn verifications(&self) -> [Family; 2] {
        let sessions = self.verifications.session_counts();
        let purposes = [("bind", sessions.binding), ("deregister", sessions.deregistering)];
        let sessions = purposes.map(|(purpose, count)| {
            (vec![("purpose", purpose.into())], Value::Gauge(count as f64))
        });
        let codes = self.codes.all().into_iter().map(|((method, outcome, country), count)| {
            let country = country.map_or("none".into(), |code| code.to_string().into());
            let labels = vec![
                ("method", method.name().into()),
                ("outcome", outcome.name().into()),
                ("country", country),
            ];
            (labels, Value::Count(count))
        });
        [
            Family::gauge("verification_sessions", "Open verification sessions, by purpose")
                .with_all(sessions),
            Family::counter(
                "codes_sent",
                "Verification codes, by method, outcome and country calling code (none for a mail)",
            )
            .with_all(codes),
        ]
    }
}

/// The problems of [`OF_LOOKUPS`], and others with a count above zero.
fn refusals(count: impl Fn(ProblemCode) -> u64) -> impl Iterator<Item = (&'static str, u64)> {
    ProblemCode::ALL.iter().filter_map(move |problem| {
        let count = count(*problem);
        (count > 0 || OF_LOOKUPS.contains(problem)).then_some((problem.code(), count))
    })
}

fn durations<'a>(
    name: &'static str,
    help: &'static str,
    calls: impl Iterator<Item = (&'a str, &'a Histogram)>,
) -> Family {
    Family::durations(name, help).with_all(calls.map(|(call, histogram)| {
        (vec![("call", call.into())], Value::Histogram(histogram.values()))
    }))
}

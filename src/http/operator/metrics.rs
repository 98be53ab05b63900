//! `GET /metrics`: counts for Prometheus. No label holds anything personal.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry as Metrics,
};

use super::access::authorize;
use crate::{
    dispatch::LookupCounts,
    http::{
        edge::Origin,
        health::Health,
        problem::{Code, Problem, ProblemBody},
    },
    operators::{Operators, Role},
    query_log::Reason,
    registry::Registry,
};

/// The content type of the OpenMetrics text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts since the start, and what is in order now.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses(
        (status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text"),
        (status = 401, description = "From elsewhere than loopback it takes a token", body = ProblemBody),
    ),
)]
pub(super) async fn metrics(
    origin: Origin,
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    State(health): State<Health>,
    State(registry): State<Arc<Registry>>,
    State(counts): State<Arc<LookupCounts>>,
) -> Result<Response, Problem> {
    // What became of lookups tells about handles to whoever can watch the counts while asking.
    if !origin.ip.is_loopback() {
        authorize(&headers, &operators, Role::Reader)?;
    }
    let mut metrics = Metrics::with_prefix("dispatchd");
    metrics.register_collector(Box::new(Lookups(counts)));
    let gauge = |is_so: bool| ConstGauge::new(i64::from(is_so));
    metrics.register(
        "log_writable",
        "Whether the query log takes records",
        gauge(health.is_log_writable()),
    );
    metrics.register(
        "registry_ready",
        "Whether the registry is loaded",
        gauge(registry.is_ready()),
    );
    let mut text = String::new();
    encode(&mut text, &metrics)
        .map_err(|_| Problem::new(Code::Internal, "the counts could not be written"))?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

/// One metric, one line for each reason.
#[derive(Debug)]
struct Lookups(Arc<LookupCounts>);

impl Collector for Lookups {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let help = "Handles asked for, by what became of them";
        let mut lookups = encoder.encode_descriptor("lookups", help, None, MetricType::Counter)?;
        for &reason in Reason::ALL {
            // Hidden handles are counted as unknown ones: the difference is the log's to tell.
            let count = match reason {
                Reason::Undiscoverable => continue,
                Reason::NeverRegistered => self.0.of(reason) + self.0.of(Reason::Undiscoverable),
                reason => self.0.of(reason),
            };
            let counter = ConstCounter::new(count);
            counter.encode(lookups.encode_family(&[("reason", reason.code())])?)?;
        }
        Ok(())
    }
}

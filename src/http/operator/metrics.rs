//! `GET /metrics`: counts for Prometheus. No label holds anything personal.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry as Metrics,
};

use crate::{
    dispatch::LookupCounts,
    http::problem::{Code, Problem},
    query_log::{QueryLog, Reason},
    registry::Registry,
};

/// The content type of the OpenMetrics text format.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts since the start, and what is in order now.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text")),
)]
pub(super) async fn metrics(
    State(log): State<QueryLog>,
    State(registry): State<Arc<Registry>>,
    State(counts): State<Arc<LookupCounts>>,
) -> Result<Response, Problem> {
    let mut metrics = Metrics::with_prefix("dispatchd");
    metrics.register_collector(Box::new(Lookups(counts)));
    let gauge = |is_so: bool| ConstGauge::new(i64::from(is_so));
    metrics.register(
        "log_writable",
        "Whether the query log takes records",
        gauge(log.is_writable()),
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
            let counter = ConstCounter::new(self.0.of(reason));
            counter.encode(lookups.encode_family(&[("reason", reason.code())])?)?;
        }
        Ok(())
    }
}

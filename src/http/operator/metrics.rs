//! `GET /metrics`: counts for Prometheus. No label holds anything personal.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
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
    for &reason in Reason::ALL {
        let labels = [("reason".into(), reason.code().into())];
        let counter = ConstCounter::new(counts.of(reason));
        let part = metrics.sub_registry_with_labels(labels.into_iter());
        part.register(
            "lookups",
            "Handles asked for, by what became of them",
            counter,
        );
    }
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

//! `GET /metrics`: counts for Prometheus. No label holds anything personal.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode, metrics::gauge::ConstGauge, registry::Registry as Metrics,
};

use super::{access::authorize, counters::Counters};
use crate::{
    clock::TrustedClock,
    dispatch::Caller,
    http::problem::{Code, Problem},
    operators::{Operators, Role},
    query_log::QueryLog,
    registry::Registry,
};

/// The OpenMetrics text format, as a media range and as a content type.
const OPENMETRICS_RANGE: &str = "application/openmetrics-text";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counts since the start, and what works now: in the text format of Prometheus, or in OpenMetrics if `Accept` names it.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "health",
    responses(
        (status = 200, description = "The metrics", content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        )),
        (status = 401, description = "`token-invalid`: only a call from this machine needs no token"),
    ),
    security((), ("operator" = ["reader"])),
)]
pub(super) async fn metrics(
    caller: Caller,
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    State(log): State<QueryLog>,
    State(registry): State<Arc<Registry>>,
    State(counters): State<Counters>,
    State(clock): State<Arc<TrustedClock>>,
) -> Result<Response, Problem> {
    // A client that asks and watches the counts would learn about handles.
    if !caller.ip.is_loopback() {
        authorize(&headers, &operators, Role::Reader)?;
    }
    let mut metrics = Metrics::with_prefix("dispatchd");
    metrics.register_collector(Box::new(counters));
    let clock = clock.status();
    let works = [
        ("log_writable", "Whether the query log takes records", log.is_writable()),
        ("registry_ready", "Whether the registry is loaded", registry.is_ready()),
        (
            "registry_low_on_space",
            "Whether sign-ups, proofs, imports and snapshots are refused for lack of free space",
            registry.is_low_on_space(),
        ),
        ("clock_followed", "Whether trusted time follows the wall clock", clock.is_followed),
    ];
    for (name, help, is_so) in works {
        metrics.register(name, help, ConstGauge::new(i64::from(is_so)));
    }
    metrics.register(
        "clock_ahead_seconds",
        "How far the wall clock is ahead of trusted time",
        ConstGauge::new(clock.wall_ahead_seconds),
    );
    let mut text = String::new();
    encode(&mut text, &metrics)
        .map_err(|_| Problem::new(Code::Internal, "the counts could not be written"))?;
    let content_type = if accepts_openmetrics(&headers) {
        OPENMETRICS
    } else {
        text = prometheus_text(&text);
        PROMETHEUS
    };
    let headers = [(header::CONTENT_TYPE, content_type), (header::VARY, "accept")];
    Ok((headers, text).into_response())
}

/// Whether the client names OpenMetrics, with a quality that is not below that of plain text.
fn accepts_openmetrics(headers: &HeaderMap) -> bool {
    let (mut openmetrics, mut plain) = (0.0, 0.0_f32);
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality: f32 =
            parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if name.eq_ignore_ascii_case(OPENMETRICS_RANGE) {
            openmetrics = quality.max(openmetrics);
        } else if name.eq_ignore_ascii_case("text/plain") {
            plain = quality.max(plain);
        }
    }
    openmetrics > 0.0 && openmetrics >= plain
}

/// OpenMetrics as the older format, in which a counter's help and type have the name of its samples, and nothing marks
/// the end.
fn prometheus_text(openmetrics: &str) -> String {
    let counters: Vec<_> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len() + 64);
    for line in openmetrics.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let head = (words.next(), words.next(), words.next(), words.next());
        match head {
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(&name) => {
                text.push_str(&format!("# {kind} {name}_total {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_format_is_the_one_that_the_client_prefers() {
        for (accept, is_openmetrics) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("application/json", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; version=1.0.0", true),
            ("application/openmetrics-text;q=0", false),
            ("text/plain, application/openmetrics-text;q=0.5", false),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
                true,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(accepts_openmetrics(&headers), is_openmetrics, "{accept}");
        }
        assert!(!accepts_openmetrics(&HeaderMap::new()));
    }

    #[test]
    fn counters_are_named_as_the_older_format_names_them() {
        let openmetrics = "# HELP a_ready Is it.\n# TYPE a_ready gauge\na_ready 1\n# HELP a_asked Handles asked.\n\
                           # TYPE a_asked counter\na_asked_total{reason=\"x\"} 7\n# EOF\n";
        let text = "# HELP a_ready Is it.\n# TYPE a_ready gauge\na_ready 1\n# HELP a_asked_total Handles asked.\n\
                    # TYPE a_asked_total counter\na_asked_total{reason=\"x\"} 7\n";
        assert_eq!(prometheus_text(openmetrics), text);
    }
}

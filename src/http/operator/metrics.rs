//! `GET /metrics`: counts for Prometheus. No label holds anything personal.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{
    access::Scraper,
    counters::Counters,
    defences::Defences,
    families::{self, Format},
    states::{self, States},
};
use crate::http::problem::{Code, Problem};

/// The OpenMetrics text format, as a media range and as a content type.
const OPENMETRICS_RANGE: &str = "application/openmetrics-text";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The versions of OpenMetrics that may be asked for.
const VERSIONS: [&str; 2] = ["0.0.1", "1.0.0"];
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counts since the start, and what works now: in the text format of Prometheus, or in OpenMetrics if `Accept` names it.
#[utoipa::path(
    get, path = "/metrics", operation_id = "getMetrics", tag = "health",
    responses(
        (status = 200, description = "The metrics", content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        )),
        (status = 401, description = "`token-invalid`: it takes a token, unless the server has `telemetry.metrics_open = true`"),
    ),
    security(("operator" = ["metrics"])),
)]
pub(super) async fn metrics(
    _: Scraper,
    headers: HeaderMap,
    State(counters): State<Counters>,
    State(states): State<States>,
    State(defences): State<Defences>,
) -> Result<Response, Problem> {
    let (format, content_type) = match accepts_openmetrics(&headers) {
        true => (Format::OpenMetrics, OPENMETRICS),
        false => (Format::Prometheus, PROMETHEUS),
    };
    let mut own = states.families();
    own.extend(counters.families());
    own.extend(defences.families());
    let text = families::text(own, states::process(), format)
        .map_err(|_| Problem::new(Code::Internal, "the metrics could not be written"))?;
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
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |wanted| {
            let mut found =
                parameters.iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.trim())
        };
        let quality: f32 = parameter("q").and_then(|value| value.parse().ok()).unwrap_or(1.0);
        if name.eq_ignore_ascii_case(OPENMETRICS_RANGE) {
            // One that asks for a later version may not read this one.
            if parameter("version").is_some_and(|version| !VERSIONS.contains(&version)) {
                continue;
            }
            openmetrics = quality.max(openmetrics);
        } else if name.eq_ignore_ascii_case("text/plain") {
            plain = quality.max(plain);
        }
    }
    openmetrics > 0.0 && openmetrics >= plain
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
            ("application/openmetrics-text; Q = 0", false),
            ("application/openmetrics-text;version=2.0.0", false),
            ("application/openmetrics-text; Version = 0.0.1", true),
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
}

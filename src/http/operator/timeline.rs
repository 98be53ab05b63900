//! `GET /v1/handles/{handle}/timeline`.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use super::{access::Reader, lines, parameters::Parameters, reads::Reads};
use crate::{
    api::{Timeline, WhyRequest},
    http::problem::{Code, Problem},
};

/// Why is it blue or green? Changes and lookups of one handle in one order, each with its reason in a sentence; at the
/// end what a stranger would be told now (or was, `at` a moment), and which askers may still go by another answer.
///
/// `Accept: application/x-ndjson` streams: entries, then the summary (`kind` is `change`, `lookups`, `summary`).
#[utoipa::path(
    get, path = "/v1/handles/{handle}/timeline", tag = "log",
    params(("handle" = String, Path, description = "Phone number or e-mail address, percent-encoded"), WhyRequest),
    responses(
        (status = 200, body = Timeline),
        (status = 400, description = "`handle-invalid`; `reason` says why. `request-invalid`"),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn timeline(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    Parameters(request): Parameters<WhyRequest>,
) -> Result<Response, Problem> {
    let not_text = |_| Problem::new(Code::RequestInvalid, "the handle in the path is not UTF-8");
    let Path(handle) = path.map_err(not_text)?;
    let request = WhyRequest { handle, ..request };
    match lines::are_accepted(&headers) {
        true => reads.rows(operator, request).await,
        false => Ok(reads.answer(operator, request).await?.into_response()),
    }
}

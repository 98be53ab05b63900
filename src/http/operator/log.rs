//! `GET /v1/log`, and `export`, `flips`, `segments`, `verify`, `forgotten` below it.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};

use super::{access::Reader, lines, parameters::Parameters, reads::Reads};
use crate::{
    api::{
        FlipsRequest, ForgottenRequest, Page, RecordFilter, SearchRequest, SegmentsRequest,
        VerifyRequest,
    },
    http::problem::Problem,
    query_log::{FlipReport, ForgottenReport, SegmentSummary, VerifyReport},
};

/// Searches the log. `Accept: application/x-ndjson` streams every match; JSON gives pages.
#[utoipa::path(
    get, path = "/v1/log", tag = "log", params(SearchRequest),
    responses(
        (status = 200, body = Page),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn search(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    headers: HeaderMap,
    Parameters(request): Parameters<SearchRequest>,
) -> Result<Response, Problem> {
    match lines::are_accepted(&headers) {
        true => reads.rows(operator, request).await,
        false => Ok(reads.answer(operator, request).await?.into_response()),
    }
}

/// Streams every record that matches, one JSON object a line, in the order of storage: sort them to have them by time.
/// Trailers behind the last one (to clients that send `TE: trailers`) say how many there were
/// (`dispatchd-records`) and what could not be read (`dispatchd-damaged`, `dispatchd-unreadable-segments`). A stream that
/// could not be sent to its end breaks off without the last chunk.
#[utoipa::path(
    get, path = "/v1/log/export", tag = "log", params(RecordFilter),
    responses(
        (status = 200, description = "A record a line", content_type = "application/x-ndjson"),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn export(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    Parameters(request): Parameters<RecordFilter>,
) -> Result<Response, Problem> {
    reads.rows(operator, request).await
}

/// Lists the segments, oldest first.
#[utoipa::path(
    get, path = "/v1/log/segments", tag = "log",
    responses(
        (status = 200, body = Vec<SegmentSummary>),
    ),
    security(("operator" = [])),
)]
pub(super) async fn segments(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    Parameters(request): Parameters<SegmentsRequest>,
) -> Result<Json<Vec<SegmentSummary>>, Problem> {
    reads.answer_cheap(operator, request).await
}

/// Reads every segment and says what is not as it should be.
#[utoipa::path(
    get, path = "/v1/log/verify", tag = "log",
    responses(
        (status = 200, body = VerifyReport),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn verify(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    Parameters(request): Parameters<VerifyRequest>,
) -> Result<Json<VerifyReport>, Problem> {
    reads.answer(operator, request).await
}

/// Looks for keys, files and readable records older than the retention. The answer holds no record, only the instant of the
/// oldest one.
#[utoipa::path(
    get, path = "/v1/log/forgotten", tag = "log",
    responses(
        (status = 200, body = ForgottenReport),
        (status = 503, description = "`overloaded`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn forgotten(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    Parameters(request): Parameters<ForgottenRequest>,
) -> Result<Json<ForgottenReport>, Problem> {
    reads.answer(operator, request).await
}

/// Finds the handles whose route went back and forth, most often first, and the likely cause of each. It reads the whole
/// window, so over 30 days it takes a while.
#[utoipa::path(
    get, path = "/v1/log/flips", tag = "log", params(FlipsRequest),
    responses(
        (status = 200, body = FlipReport),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn flips(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    Parameters(request): Parameters<FlipsRequest>,
) -> Result<Json<FlipReport>, Problem> {
    reads.answer(operator, request).await
}

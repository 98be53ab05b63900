//! The calls that read the query log, and those that read who read it. All are audited, except those without records.

use axum::{
    extract::{Path, rejection::PathRejection},
    response::Response,
};

use super::reads::Asked;
use crate::{
    api::{
        AuditRequest, AuditVerifyRequest, FlipsRequest, ForgottenRequest, Page, RecordFilter,
        SearchRequest, SegmentsRequest, Timeline, VerifyRequest, WhyRequest,
    },
    audit::{self, Listed},
    http::problem::{Code, Problem},
    query_log::{FlipReport, ForgottenReport, SegmentSummary, VerifyReport},
};

/// Searches the log. `Accept: application/x-ndjson` streams every match; JSON gives pages.
///
/// While the wall clock is ahead of trusted time, records that are too old by either are hidden. Every answer that reads the log
/// then has the header `dispatchd-hidden-until`: records up to that instant are hidden.
#[utoipa::path(
    get, path = "/v1/log", tag = "log", params(SearchRequest),
    responses((status = 200, body = Page)),
    security(("operator" = [])),
)]
pub(super) async fn search(asked: Asked<SearchRequest>) -> Result<Response, Problem> {
    asked.rows_or_answer().await
}

/// Streams every record that matches, one JSON object a line, in the order of storage: sort them to have them by time.
/// Trailers behind the last one (to clients that send `TE: trailers`) say how many there were
/// (`dispatchd-records`) and what could not be read (`dispatchd-damaged`, `dispatchd-unreadable-segments`). A stream that
/// could not be sent to its end breaks off without the last chunk.
#[utoipa::path(
    get, path = "/v1/log/export", tag = "log", params(RecordFilter),
    responses((status = 200, description = "A record a line", content_type = "application/x-ndjson")),
    security(("operator" = [])),
)]
pub(super) async fn export(asked: Asked<RecordFilter>) -> Result<Response, Problem> {
    asked.rows().await
}

/// Lists the segments, oldest first.
#[utoipa::path(
    get, path = "/v1/log/segments", tag = "log",
    responses((status = 200, body = Vec<SegmentSummary>)),
    security(("operator" = [])),
)]
pub(super) async fn segments(asked: Asked<SegmentsRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

/// Reads every segment and says what is not as it should be.
#[utoipa::path(
    get, path = "/v1/log/verify", tag = "log",
    responses((status = 200, body = VerifyReport)),
    security(("operator" = [])),
)]
pub(super) async fn verify(asked: Asked<VerifyRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

/// Looks for keys, files and readable records older than the retention. The answer holds no record, only the instant of the
/// oldest one.
#[utoipa::path(
    get, path = "/v1/log/forgotten", tag = "log",
    responses((status = 200, body = ForgottenReport), (status = 503, description = "`overloaded`")),
    security(("operator" = [])),
)]
pub(super) async fn forgotten(asked: Asked<ForgottenRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

/// Finds the handles whose route went back and forth, most often first, and the likely cause of each. It reads the whole
/// window, so over 30 days it takes a while.
#[utoipa::path(
    get, path = "/v1/log/flips", tag = "log", params(FlipsRequest),
    responses((status = 200, body = FlipReport)),
    security(("operator" = [])),
)]
pub(super) async fn flips(asked: Asked<FlipsRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

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
    ),
    security(("operator" = [])),
)]
pub(super) async fn timeline(
    path: Result<Path<String>, PathRejection>,
    mut asked: Asked<WhyRequest>,
) -> Result<Response, Problem> {
    let not_text = |_| Problem::new(Code::RequestInvalid, "the handle in the path is not UTF-8");
    let Path(handle) = path.map_err(not_text)?;
    asked.request.handle = handle;
    asked.rows_or_answer().await
}

/// Lists the calls that read the log, oldest first, one JSON object a line. A personal filter is an hour and a fingerprint
/// under the key of that hour.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(AuditRequest),
    responses((status = 200, description = "A call a line", body = Listed, content_type = "application/x-ndjson")),
    security(("operator" = ["admin"])),
)]
pub(super) async fn list_readers(asked: Asked<AuditRequest>) -> Result<Response, Problem> {
    asked.rows().await
}

/// Reads the chain of entries and says where it is not what was written. Store `head` elsewhere and compare it later.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit",
    responses((status = 200, body = audit::VerifyReport)),
    security(("operator" = ["admin"])),
)]
pub(super) async fn verify_audit(asked: Asked<AuditVerifyRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

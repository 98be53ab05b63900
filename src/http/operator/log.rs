//! The calls that read the query log, and those that read who read it. All are audited, except those without records.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::Response,
};

use super::{
    cluster::ClusterNode,
    reads::{Asked, AskedByBody},
};
use crate::{
    api::{
        AuditBody, AuditRequest, AuditVerificationAnswer, AuditVerifyRequest, FilterBody, FlipPart,
        FlipPartsBody, FlipPartsRequest, FlipsRequest, ForgottenAnswer, ForgottenRequest,
        LogVerificationAnswer, NodeCall, NodeSegment, Page, RecordFilter, SearchBody,
        SearchRequest, SegmentsRequest, Timeline, TimelineLine, VerifyRequest, WhyBody, WhyFields,
        WhyRequest,
    },
    cluster::forgotten_by_others,
    http::problem::{Code, Problem},
    query_log::{FlipReport, LogRow},
};

/// Searches the log. `Accept: application/x-ndjson` streams every match; JSON gives pages.
///
/// While the wall clock is ahead of trusted time, records that are too old by either are hidden. Every answer that reads the log
/// then has the header `dispatchd-hidden-until`: records up to that instant are hidden. Every such answer has the header
/// `dispatchd-horizon`: records up to that instant are forgotten.
#[utoipa::path(
    get, path = "/v1/log", operation_id = "searchLog", tag = "log", params(SearchRequest),
    responses(
        (status = 200, description = "A page; as NDJSON, a record a line", content(
            (Page = "application/json"),
            (LogRow = "application/x-ndjson"),
        )),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn search(asked: Asked<SearchRequest>) -> Result<Response, Problem> {
    asked.rows_or_answer().await
}

/// Searches the log as `GET /v1/log` does. The filter is the body, so no handle stands in an address.
#[utoipa::path(
    post, path = "/v1/log/search", operation_id = "searchLogByBody", tag = "log", request_body = SearchBody,
    responses(
        (status = 200, description = "A page; as NDJSON, a record a line", content(
            (Page = "application/json"),
            (LogRow = "application/x-ndjson"),
        )),
        (status = 400, description = "`request-invalid`: a field is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn search_by_body(
    AskedByBody { asked, .. }: AskedByBody<SearchRequest>,
) -> Result<Response, Problem> {
    search(asked).await
}

/// Streams every record that matches, one JSON object a line, in the order of storage: sort them to have them by time.
/// Trailers behind the last one (to clients that send `TE: trailers`) say how many there were
/// (`dispatchd-records`) and what could not be read (`dispatchd-damaged`, `dispatchd-unreadable-segments`). A stream that
/// could not be sent to its end breaks off without the last chunk.
#[utoipa::path(
    get, path = "/v1/log/export", operation_id = "exportLog", tag = "log", params(RecordFilter),
    responses(
        (status = 200, description = "A record a line", body = LogRow, content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn export(asked: Asked<RecordFilter>) -> Result<Response, Problem> {
    asked.rows().await
}

/// Exports as `GET /v1/log/export` does. The filter is the body, so no handle stands in an address.
#[utoipa::path(
    post, path = "/v1/log/export", operation_id = "exportLogByBody", tag = "log", request_body = FilterBody,
    responses(
        (status = 200, description = "A record a line", body = LogRow, content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`: a field is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn export_by_body(
    AskedByBody { asked, .. }: AskedByBody<RecordFilter>,
) -> Result<Response, Problem> {
    asked.rows().await
}

/// Lists the segments, oldest first. In a cluster: those of every node, one node after another. Then the header `dispatchd-missing` lists
/// the nodes that did not answer, as JSON. `Accept: application/x-ndjson` streams them, with trailers.
#[utoipa::path(
    get, path = "/v1/log/segments", operation_id = "listSegments", tag = "log", params(SegmentsRequest),
    responses(
        (status = 200, description = "The segments; as NDJSON, one a line", content(
            (Vec<NodeSegment> = "application/json"),
            (NodeSegment = "application/x-ndjson"),
        )),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn segments(asked: Asked<SegmentsRequest>) -> Result<Response, Problem> {
    asked.rows_or_list().await
}

/// Reads every segment and says what is not as it should be. A node of a cluster asks every other one, too: `others` has what each of
/// them found, or why it did not answer.
#[utoipa::path(
    get, path = "/v1/log/verify", operation_id = "verifyLog", tag = "log", params(VerifyRequest),
    responses(
        (status = 200, description = "The report; `sound` says whether all is well", body = LogVerificationAnswer),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn verify(asked: Asked<VerifyRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

/// Looks for keys, files and readable records older than the retention. The answer holds no record, only the instant of the
/// oldest one. A node of a cluster asks every other one, too: `others` has what each of them found, or why it did not answer.
#[utoipa::path(
    get, path = "/v1/log/forgotten", operation_id = "proveForgotten", tag = "log",
    responses(
        (status = 200, description = "The report; `proved` says whether the check found nothing", body = ForgottenAnswer),
        (status = 400, description = "`request-invalid`: this call takes no parameter"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn forgotten(
    asked: Asked<ForgottenRequest>,
    State(node): State<Option<ClusterNode>>,
) -> Result<Response, Problem> {
    let asked_others = async {
        match node {
            Some(node) => forgotten_by_others(&node.peers).await,
            None => Vec::new(),
        }
    };
    asked.answer_with(asked_others, ForgottenAnswer::with_others).await
}

/// Finds the handles whose route went back and forth, most often first, and the likely cause of each. It reads the whole
/// window, so over 30 days it takes a while. In a cluster it counts the lookups of all nodes, and names those whose part is missing or
/// comes from copies.
#[utoipa::path(
    get, path = "/v1/log/flips", operation_id = "listFlips", tag = "log", params(FlipsRequest),
    responses(
        (status = 200, description = "The handles and a summary", body = FlipReport),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn flips(asked: Asked<FlipsRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

/// Tells another node what this one has of each handle, so that it counts flips over all nodes. A handle a line, in the order of handles.
/// The trailers are those of an export.
#[utoipa::path(
    post, path = "/v1/log/flips/parts", operation_id = "listFlipParts", tag = "log", request_body = FlipPartsBody,
    responses(
        (status = 200, description = "A handle a line", body = FlipPart, content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`: a field is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn flip_parts(
    AskedByBody { asked, .. }: AskedByBody<FlipPartsRequest>,
) -> Result<Response, Problem> {
    asked.rows().await
}

/// Why is it blue or green? Changes and lookups of one handle in one order, each with its reason in a sentence.
///
/// At the end it says what a stranger would be told now (or was, `at` a moment). It also names the askers that may still use
/// another answer.
///
/// `Accept: application/x-ndjson` streams: entries, then the summary (`kind` is `change`, `lookups`, `summary`).
#[utoipa::path(
    get, path = "/v1/handles/{handle}/timeline", operation_id = "getTimeline", tag = "log",
    params(
        ("handle" = String, Path, description = "Phone number or e-mail address, percent-encoded", example = "+14155550123"),
        WhyRequest,
    ),
    responses(
        (status = 200, description = "The timeline; as NDJSON, its entries and then its summary", content(
            (Timeline = "application/json"),
            (TimelineLine = "application/x-ndjson"),
        )),
        (status = 400, description = "`handle-invalid`: `reason` says why; `request-invalid`: a parameter is unknown, appears \
                                      twice, or has a value that it does not take; `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
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

/// Tells why a handle is blue or green, as `GET /v1/handles/{handle}/timeline` does. The handle is in the body, so it does not
/// stand in an address.
#[utoipa::path(
    post, path = "/v1/timeline", operation_id = "getTimelineByBody", tag = "log", request_body = WhyBody,
    responses(
        (status = 200, description = "The timeline; as NDJSON, its entries and then its summary", content(
            (Timeline = "application/json"),
            (TimelineLine = "application/x-ndjson"),
        )),
        (status = 400, description = "`handle-invalid`: `reason` says why; `request-invalid`: a field is unknown, appears \
                                      twice, or has a value that it does not take; `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn timeline_by_body(
    AskedByBody { asked, .. }: AskedByBody<WhyFields, WhyRequest>,
) -> Result<Response, Problem> {
    asked.rows_or_answer().await
}

/// Lists the calls that read the log, oldest first, one JSON object a line. A personal filter is an hour and a fingerprint
/// under the key of that hour. A node of a cluster lists those of every node, by their instants.
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "listAuditEntries", tag = "audit", params(AuditRequest),
    responses(
        (status = 200, description = "A call a line", body = NodeCall, content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn list_readers(asked: Asked<AuditRequest>) -> Result<Response, Problem> {
    asked.rows().await
}

/// Lists calls as `GET /v1/audit` does. The filter is the body, so no handle stands in an address.
#[utoipa::path(
    post, path = "/v1/audit/search", operation_id = "listAuditEntriesByBody", tag = "audit", request_body = AuditBody,
    responses(
        (status = 200, description = "A call a line", body = NodeCall, content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`: a field is unknown, appears twice, or has a value that it does not take"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn list_readers_by_body(
    AskedByBody { asked, .. }: AskedByBody<AuditRequest>,
) -> Result<Response, Problem> {
    list_readers(asked).await
}

/// Reads the chain of entries and says where it is not what was written. Store `head` elsewhere and compare it later. A node of a
/// cluster asks every other one, too: `others` has what each of them found, or why it did not answer.
#[utoipa::path(
    get, path = "/v1/audit/verify", operation_id = "verifyAudit", tag = "audit", params(AuditVerifyRequest),
    responses(
        (status = 200, description = "The report; `sound` says whether the chain is whole", body = AuditVerificationAnswer),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take"),
        (status = 503, description = "`overloaded`: as many searches run as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn verify_audit(asked: Asked<AuditVerifyRequest>) -> Result<Response, Problem> {
    asked.answer().await
}

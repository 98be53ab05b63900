//! `GET /v1/log`, `/v1/log/segments`, `/v1/log/verify`.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{
    Searches,
    access::Reader,
    filter::LogQuery,
    lines::{self, NDJSON},
    records::Records,
};
use crate::{
    audit::{Call, Filters},
    clock::{SharedClock, Timestamp},
    http::problem::{Code, Problem, ProblemBody},
    query_log::{ReadError, Search},
};

/// One row of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct RecordBody {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `lookup` or `change`; the other fields depend on it and are described in the README.
    kind: String,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub(super) struct Page {
    #[schema(value_type = Vec<RecordBody>)]
    records: Vec<Box<RawValue>>,
    /// Pass it as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Frames that could not be read; absent if none. `/v1/log/verify` says where.
    #[serde(skip_serializing_if = "is_zero")]
    damaged: u64,
    /// Segments that could not be read; absent if none.
    #[serde(skip_serializing_if = "is_zero")]
    unreadable_segments: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The parameters, or which of them is wrong (without what it held).
pub(super) fn parameters(
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<LogQuery, Problem> {
    let detail = "a parameter is unknown, appears twice or is not UTF-8; see /openapi.json";
    query.map(|Query(query)| query).map_err(|_| Problem::new(Code::RequestInvalid, detail))
}

/// Searches the log. `Accept: application/x-ndjson` streams every match; JSON gives pages.
#[utoipa::path(
    get, path = "/v1/log", tag = "log", params(LogQuery),
    responses(
        (status = 200, body = Page),
        (status = 400, description = "`request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn search(
    Reader(operator): Reader,
    State(records): State<Records>,
    State(clock): State<SharedClock>,
    State(searches): State<Searches>,
    headers: HeaderMap,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = parameters(query)?;
    let filter = query.filter(clock.now())?;
    let (order, cursor) = (query.order()?, query.cursor()?);
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let wants_stream = accept.is_some_and(|accept| accept.contains(NDJSON));
    let limit = if wants_stream { query.stream_limit()? } else { query.page_limit()? };
    let permit = searches.search()?;
    let filters = query.paging(Filters::of(&filter));
    let (reader, mut audited) = records.read(&operator, Call::Search, filters).await?;
    let search = reader.search(&filter, order, cursor);
    if wants_stream {
        return Ok(lines::stream(audited, permit, move |lines| {
            let mut search = search.stop_when(lines.is_gone());
            let rows = search.by_ref().take(limit).map(|found| found.map(|(_, row)| row));
            lines.write_all(rows).then(|| search.outcome())
        }));
    }
    // Dropped with this future when the client goes away.
    let client = CancellationToken::new();
    let _here = client.clone().drop_guard();
    let search = search.stop_when(move || client.is_cancelled());
    let page = tokio::task::spawn_blocking(move || {
        let page = read_page(search, limit);
        drop(permit);
        // Before the page is sent: who has it finds it noted.
        if let Ok(page) = &page {
            audited.add(page.records.len() as u64);
            audited.finish();
        }
        page
    });
    let page = page.await.map_err(|_| Problem::new(Code::Internal, "the search failed"))?;
    Ok(Json(page.map_err(|error| unreadable(&error))?).into_response())
}

pub(super) fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a search could not read a segment");
    Problem::new(Code::Internal, "a segment could not be read; the server's messages say which")
}

fn read_page(mut search: Search, limit: usize) -> Result<Page, ReadError> {
    let mut records = Vec::new();
    let mut last = None;
    let mut has_more = false;
    for found in search.by_ref() {
        let (cursor, row) = found?;
        if records.len() == limit {
            has_more = true;
            break;
        }
        last = Some(cursor);
        // What we have just written is JSON.
        records.extend(RawValue::from_string(row.to_json()).ok());
    }
    let next_cursor = last.filter(|_| has_more).map(|cursor| cursor.to_string());
    Ok(Page {
        records,
        next_cursor,
        damaged: search.outcome().damaged,
        unreadable_segments: search.outcome().unreadable_segments,
    })
}

/// One hour of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct SegmentBody {
    segment: String,
    /// `active`, `closed` (finished, soon to be sealed) or `sealed`; else what is wrong with it.
    state: String,
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    records: u64,
    bytes: u64,
    /// When its key is destroyed.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Lists the segments, oldest first.
#[utoipa::path(
    get, path = "/v1/log/segments", tag = "log",
    responses((status = 200, body = Vec<SegmentBody>), (status = 401, body = ProblemBody)),
    security(("operator" = [])),
)]
pub(super) async fn segments(
    _: Reader,
    State(records): State<Records>,
) -> Result<Response, Problem> {
    let segments = tokio::task::spawn_blocking(move || records.segments()).await;
    let segments = segments.map_err(|_| Problem::new(Code::Internal, "listing failed"))?;
    Ok(Json(segments).into_response())
}

/// Reads every segment and says what is not as it should be.
#[utoipa::path(
    get, path = "/v1/log/verify", tag = "log",
    responses(
        (status = 200, description = "A report; `sound` says it in a word", body = serde_json::Value),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn verify(
    Reader(operator): Reader,
    State(records): State<Records>,
    State(searches): State<Searches>,
) -> Result<Response, Problem> {
    let permit = searches.search()?;
    let (reader, audited) = records.read(&operator, Call::Verify, Filters::none()).await?;
    let report = tokio::task::spawn_blocking(move || {
        let report = reader.verify();
        drop(permit);
        audited.finish();
        report
    });
    let report = report.await.map_err(|_| Problem::new(Code::Internal, "verifying failed"))?;
    Ok(Json(report).into_response())
}

//! `GET /v1/log`, `/v1/log/segments`, `/v1/log/verify`.

use std::io;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{Searches, access::Reader, filter::LogQuery};
use crate::{
    clock::{SharedClock, Timestamp},
    http::problem::{Code, Problem, ProblemBody},
    limits,
    query_log::{QueryLog, Search},
};

/// Bytes of records that are sent at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks read ahead of a slow client; then the search waits.
const CHUNKS_AHEAD: usize = 4;
const NDJSON: &str = "application/x-ndjson";

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
        (status = 503, description = "`overloaded`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn search(
    _: Reader,
    State(log): State<QueryLog>,
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
    let search = log.reader().search(&filter, order, cursor);
    if wants_stream {
        return Ok(stream_rows(search, limit, permit));
    }
    // Dropped with this future when the client goes away.
    let client = CancellationToken::new();
    let _here = client.clone().drop_guard();
    let search = search.stop_when(move || client.is_cancelled());
    let page = tokio::task::spawn_blocking(move || {
        let page = read_page(search, limit);
        drop(permit);
        page
    });
    let page = page.await.map_err(|_| Problem::new(Code::Internal, "the search failed"))?;
    Ok(Json(page.map_err(|error| unreadable(&error))?).into_response())
}

pub(super) fn unreadable(error: &dyn std::error::Error) -> Problem {
    tracing::error!(%error, "a search could not read a segment");
    Problem::new(Code::Internal, "a segment could not be read; the server's messages say which")
}

fn read_page(mut search: Search, limit: usize) -> Result<Page, crate::query_log::ReadError> {
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

/// Streams rows from a thread of their own. When the client goes away the channel closes and the search ends; so it
/// does when the client takes nothing for [`limits::SLOW_READER_PATIENCE`].
fn stream_rows(search: Search, limit: usize, permit: OwnedSemaphorePermit) -> Response {
    let (chunks, received) = mpsc::channel::<io::Result<Bytes>>(CHUNKS_AHEAD);
    let client = chunks.clone();
    let search = search.stop_when(move || client.is_closed());
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let send =
            |chunk| runtime.block_on(chunks.send_timeout(chunk, limits::SLOW_READER_PATIENCE));
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
        for found in search.take(limit) {
            match found {
                Ok((_, row)) => row.write_json(&mut chunk),
                Err(error) => {
                    // The stream breaks off: a client must not take half an answer for a whole one.
                    tracing::error!(%error, "a search could not read a segment");
                    let _ = send(Err(io::Error::other("a segment cannot be read")));
                    return;
                }
            }
            chunk.push(b'\n');
            if chunk.len() >= CHUNK_BYTES {
                let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_BYTES + 1024));
                if send(Ok(full.into())).is_err() {
                    // Gone, or so slow that it keeps others from searching: the stream breaks off.
                    return;
                }
            }
        }
        let _ = send(Ok(chunk.into()));
    });
    let body = stream::unfold(received, |mut received| async move {
        received.recv().await.map(|chunk| (chunk, received))
    });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// One hour of the log.
#[derive(Serialize, ToSchema)]
pub(super) struct SegmentBody {
    segment: String,
    /// `active` or `sealed`, or what is wrong with it.
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
pub(super) async fn segments(_: Reader, State(log): State<QueryLog>) -> Result<Response, Problem> {
    let segments = tokio::task::spawn_blocking(move || log.reader().segments()).await;
    let segments = segments.map_err(|_| Problem::new(Code::Internal, "listing failed"))?;
    Ok(Json(segments).into_response())
}

/// Reads every segment and says what is not as it should be.
#[utoipa::path(
    get, path = "/v1/log/verify", tag = "log",
    responses(
        (status = 200, description = "A report; `sound` says it in a word", body = serde_json::Value),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn verify(
    _: Reader,
    State(log): State<QueryLog>,
    State(searches): State<Searches>,
) -> Result<Response, Problem> {
    let permit = searches.search()?;
    let report = tokio::task::spawn_blocking(move || {
        let report = log.reader().verify();
        drop(permit);
        report
    });
    let report = report.await.map_err(|_| Problem::new(Code::Internal, "verifying failed"))?;
    Ok(Json(report).into_response())
}

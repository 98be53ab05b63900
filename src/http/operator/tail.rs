//! `GET /v1/log/tail`: records as they are committed, as server-sent events.

use std::convert::Infallible;

use axum::{
    extract::State,
    http::HeaderName,
    response::{
        Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::StreamExt as _;
use tokio::task::spawn_blocking;

use super::reads::{Asked, AskedByBody, HIDDEN_UNTIL, with_instants};
use crate::{
    api::{FilterBody, FoundRow, RecordFilter, Row as _},
    http::problem::{Code, Problem},
    query_log::LogRow,
    reading::{Told, follow},
    shutdown::Shutdown,
};

/// The server's time when a tail began. A search from it on, or from the last record on, gives what a broken tail has missed.
const FROM: HeaderName = HeaderName::from_static("dispatchd-tail-from");

/// Follows the log: every record committed from now on that matches. The header `dispatchd-tail-from` is the server's time when
/// the tail began. A search from there on, or from the last record on, gives what a broken stream has missed.
///
/// A node of a cluster follows all nodes. Records come as they arrive, between nodes in no order. An event with the name `missing` says
/// that a node does not answer: its data has `node` and `why`. `returned` says that the records of a node come again, or that it has
/// joined: its data has `node`, and `since` when records are missing. The name is also the `kind` of the data.
#[utoipa::path(
    get, path = "/v1/log/tail", operation_id = "tailLog", tag = "log", params(RecordFilter),
    responses(
        (status = 200, description = "Server-sent events; the data of each without a name is a record", body = LogRow,
         content_type = "text/event-stream"),
        (status = 400, description = "`request-invalid`: a parameter is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many clients follow the log as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn tail(
    State(shutdown): State<Shutdown>,
    asked: Asked<RecordFilter>,
) -> Result<Response, Problem> {
    follow_log(shutdown, asked).await
}

/// Follows the log as `GET /v1/log/tail` does. The filter is the body, so no handle stands in an address.
#[utoipa::path(
    post, path = "/v1/log/tail", operation_id = "tailLogByBody", tag = "log", request_body = FilterBody,
    responses(
        (status = 200, description = "Server-sent events; the data of each without a name is a record", body = LogRow,
         content_type = "text/event-stream"),
        (status = 400, description = "`request-invalid`: a field is unknown, appears twice, or has a value that it does not take; \
                                      `case-required`: the server asks readers for a case"),
        (status = 503, description = "`overloaded`: as many clients follow the log as the server bears, or as one operator may; `audit-unwritable`"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn tail_by_body(
    State(shutdown): State<Shutdown>,
    AskedByBody { asked, .. }: AskedByBody<RecordFilter>,
) -> Result<Response, Problem> {
    follow_log(shutdown, asked).await
}

async fn follow_log(
    shutdown: Shutdown,
    Asked { request, authority, reads, .. }: Asked<RecordFilter>,
) -> Result<Response, Problem> {
    let tails = if authority.is_through_node() { &reads.tails_of_nodes } else { &reads.tails };
    let place = tails.take(authority.name()).await?;
    let by = authority.name().to_owned();
    let headers = [(HIDDEN_UNTIL, reads.records.hidden_until()), (FROM, Some(reads.records.now()))];
    let begun = spawn_blocking(move || follow(&reads.records, &by, &request)).await;
    let begun = begun.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
    let (mut follower, mut audited) = begun?;
    follower.begin().await;
    let told = follower.told(async move { shutdown.stopping().await });
    // The audit entry ends with the stream, and the place becomes free.
    let events = told.map(move |told| {
        let _place = &place;
        Ok::<_, Infallible>(match told {
            Told::Row(row) => {
                audited.add(1);
                Event::default().data(to_json(&row))
            }
            Told::Note(note) => Event::default().event(note.kind()).data(note.to_json()),
        })
    });
    let events = Sse::new(events).keep_alive(KeepAlive::default());
    Ok(authority.watched(with_instants(headers, events)))
}

fn to_json(row: &FoundRow) -> String {
    let mut json = Vec::with_capacity(320);
    row.write(&mut json);
    String::from_utf8(json).unwrap_or_default()
}

//! `GET /v1/log/tail`: records as they are committed, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::HeaderName,
    response::{
        Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream::{self, Stream};
use tokio::task::spawn_blocking;

use super::{
    places::Place,
    reads::{Asked, AskedByBody, HIDDEN_UNTIL, with_instants},
};
use crate::{
    api::{FilterBody, RecordFilter},
    audit::Audited,
    http::problem::{Code, Problem},
    query_log::LogRow,
    reading::{Follower, follow},
    shutdown::Shutdown,
};

/// The server's time when a tail began. A search from it on, or from the last record on, gives what a broken tail has missed.
const FROM: HeaderName = HeaderName::from_static("dispatchd-tail-from");
/// How often a tail looks for new records. A look costs one comparison when there is none.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// Follows the log: every record committed from now on that matches. The header `dispatchd-tail-from` is the server's time when
/// the tail began. A search from there on, or from the last record on, gives what a broken stream has missed.
#[utoipa::path(
    get, path = "/v1/log/tail", operation_id = "tailLog", tag = "log", params(RecordFilter),
    responses(
        (status = 200, description = "Server-sent events; the data of each is a record", body = LogRow,
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
        (status = 200, description = "Server-sent events; the data of each is a record", body = LogRow,
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
    let place = reads.tails.take(authority.name()).await?;
    let by = authority.name().to_owned();
    let headers = [(HIDDEN_UNTIL, reads.records.hidden_until()), (FROM, Some(reads.records.now()))];
    let begun = spawn_blocking(move || follow(&reads.records, &by, &request)).await;
    let begun = begun.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
    let (ready, tail) = (VecDeque::new(), Some(begun?));
    let following = Following { ready, tail, shutdown, _place: place };
    let events = Sse::new(events(following)).keep_alive(KeepAlive::default());
    Ok(authority.watched(with_instants(headers, events)))
}

/// A tail and what it has found but not yet sent.
struct Following {
    ready: VecDeque<LogRow>,
    /// Away while it reads on a thread that may wait. Its audit entry ends with the stream.
    tail: Option<(Follower, Audited)>,
    shutdown: Shutdown,
    _place: Place,
}

/// Ends with the service, and when a segment cannot be read: a client then connects again, and knows of the gap.
fn events(following: Following) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(following, |mut following| async move {
        loop {
            if let Some(row) = following.ready.pop_front() {
                if let Some((_, audited)) = &mut following.tail {
                    audited.add(1);
                }
                return Some((Ok(Event::default().data(row.to_json())), following));
            }
            if !following.fetch().await {
                return None;
            }
        }
    })
}

impl Following {
    /// Reads what is new; waits a moment if nothing is. False if there is nothing more to come.
    async fn fetch(&mut self) -> bool {
        let Some((mut tail, audited)) = self.tail.take() else {
            return false;
        };
        let read = spawn_blocking(move || {
            let found = tail.next_rows(&audited);
            (tail, audited, found)
        });
        let is_at_end = match read.await {
            Ok((tail, audited, Ok((rows, is_at_end)))) => {
                self.tail = Some((tail, audited));
                self.ready.extend(rows);
                is_at_end
            }
            Ok((_, _, Err(error))) => {
                tracing::error!(%error, "a tail ended: a segment cannot be read");
                return false;
            }
            Err(_) => return false,
        };
        // Rows that do not match are no reason to wait: a tail with a filter would fall behind a busy log for ever.
        if self.ready.is_empty() && is_at_end {
            tokio::select! {
                () = tokio::time::sleep(POLL_EVERY) => {}
                () = self.shutdown.stopping() => return false,
            }
        }
        true
    }
}

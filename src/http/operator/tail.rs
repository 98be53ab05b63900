//! `GET /v1/log/tail`: records as they are committed, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream::{self, Stream};
use tokio::sync::OwnedSemaphorePermit;

use super::{Searches, access::Reader, filter::LogQuery, log::parameters, records::Records};
use crate::{
    audit::{Audited, Call, Filters},
    clock::SharedClock,
    http::problem::{Problem, ProblemBody},
    query_log::{LogRow, Tail},
    shutdown::Shutdown,
};

/// How often a tail looks for new records. Looking costs one comparison when there is none.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Records read at one look; more wait for the client.
const ROWS_AT_ONCE: usize = 1_000;

/// Follows the log: every record committed from now on that matches.
#[utoipa::path(
    get, path = "/v1/log/tail", tag = "log", params(LogQuery),
    responses(
        (status = 200, description = "One event for each record", content_type = "text/event-stream"),
        (status = 400, description = "`request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn tail(
    Reader(operator): Reader,
    State(records): State<Records>,
    State(clock): State<SharedClock>,
    State(searches): State<Searches>,
    State(shutdown): State<Shutdown>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = parameters(query)?;
    query.only_filters("a tail")?;
    let filter = query.filter(clock.now())?;
    let permit = searches.tail()?;
    let filters = Filters::of(&filter);
    let (reader, audited) = records.read(&operator, Call::Tail, filters).await?;
    let tail = Some(reader.tail(reader.position(), &filter));
    let following = Following { ready: VecDeque::new(), tail, audited, shutdown, _permit: permit };
    Ok(Sse::new(events(following)).keep_alive(KeepAlive::default()).into_response())
}

/// A tail and what it has found but not yet sent.
struct Following {
    ready: VecDeque<LogRow>,
    /// Away while it reads on a thread that may wait.
    tail: Option<Tail>,
    /// Ends with the stream: a tail has no other end than breaking off.
    audited: Audited,
    shutdown: Shutdown,
    _permit: OwnedSemaphorePermit,
}

/// Ends with the service, and when a segment cannot be read: a client then connects again, and knows of the gap.
fn events(following: Following) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(following, |mut following| async move {
        loop {
            if let Some(row) = following.ready.pop_front() {
                following.audited.add(1);
                return Some((Ok(Event::default().data(row.to_json())), following));
            }
            if !following.look().await {
                return None;
            }
        }
    })
}

impl Following {
    /// Reads what is new; waits a moment if nothing is. False if there is nothing more to come.
    async fn look(&mut self) -> bool {
        let Some(mut tail) = self.tail.take() else {
            return false;
        };
        let read = tokio::task::spawn_blocking(move || {
            let from = tail.position();
            let rows = tail.next_rows(ROWS_AT_ONCE);
            let is_at_end = tail.position() == from;
            (tail, is_at_end, rows)
        });
        let is_at_end = match read.await {
            Ok((tail, is_at_end, Ok(rows))) => {
                self.tail = Some(tail);
                self.ready.extend(rows.into_iter().map(|(_, row)| row));
                is_at_end
            }
            Ok((_, _, Err(error))) => {
                tracing::error!(%error, "a tail could not read a segment");
                return false;
            }
            Err(_) => return false,
        };
        // Rows that do not match are no reason to wait: a tail with a filter would fall behind a busy log for ever.
        if self.ready.is_empty() && is_at_end {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.shutdown.stopping() => return false,
            }
        }
        true
    }
}

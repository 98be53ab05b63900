//! `GET /v1/log/export`.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};

use super::{Searches, access::Reader, filter::LogQuery, log::parameters, row_stream::stream_rows};
use crate::{
    clock::SharedClock,
    http::problem::{Problem, ProblemBody},
    query_log::{Order, QueryLog},
};

/// Streams every record that matches, one JSON object a line, in the order of storage: whoever wants them by time sorts
/// them. Trailers behind the last one (to clients that send `TE: trailers`) say how many there were
/// (`dispatchd-records`) and what could not be read (`dispatchd-damaged`, `dispatchd-unreadable-segments`). A stream that
/// could not be sent to its end breaks off without the last chunk.
#[utoipa::path(
    get, path = "/v1/log/export", tag = "log", params(LogQuery),
    responses(
        (status = 200, description = "A record a line", content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn export(
    _: Reader,
    State(log): State<QueryLog>,
    State(clock): State<SharedClock>,
    State(searches): State<Searches>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = parameters(query)?;
    query.only_filters("an export")?;
    let filter = query.filter(clock.now())?;
    let permit = searches.search()?;
    // Whoever, and what, is known from here on; nothing is read before.
    let search = log.reader().search(&filter, Order::Asc, None);
    Ok(stream_rows(search, usize::MAX, permit))
}

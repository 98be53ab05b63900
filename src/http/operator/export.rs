//! `GET /v1/log/export`.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};

use super::{Searches, access::Reader, filter::LogQuery, lines, log::parameters, records::Records};
use crate::{
    audit::{Call, Filters},
    clock::SharedClock,
    http::problem::{Problem, ProblemBody},
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
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn export(
    Reader(operator): Reader,
    State(records): State<Records>,
    State(clock): State<SharedClock>,
    State(searches): State<Searches>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let query = parameters(query)?;
    query.only_filters("an export")?;
    let filter = query.filter(clock.now())?;
    let permit = searches.search()?;
    let (reader, audited) = records.read(&operator, Call::Export, Filters::of(&filter)).await?;
    let walk = reader.walk(&filter);
    Ok(lines::stream(audited, permit, move |lines| {
        let mut walk = walk.stop_when(lines.is_gone());
        let rows = walk.by_ref().map(|found| found.map(|(_, row)| row));
        lines.write_all(rows).then(|| walk.outcome())
    }))
}

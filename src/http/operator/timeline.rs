//! `GET /v1/handles/{handle}/timeline`.

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::{
    OperatorState,
    access::Reader,
    filter::{INSTANT, instant, take},
    lines::{self, NDJSON, Writer},
};
use crate::{
    audit::{Call, Filters},
    clock::Timestamp,
    dispatch::{Dispatch, Preview},
    handle::Handle,
    http::problem::{Code, Problem, ProblemBody},
    limits,
    query_log::{Filter, LogReader, ReadError, SearchOutcome},
    timeline::{self, Detail, Entry, Present, Question, Reuse, Summary},
};

/// Which part of a handle's history.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    /// The moment to explain instead of the present: RFC 3339, or a span back from now (`90m`, `7d`).
    at: Option<String>,
    /// Entries from this instant on: RFC 3339, or a span back from now.
    since: Option<String>,
    /// Entries before this instant: RFC 3339, or a span back from now. Without it those up to the moment explained.
    until: Option<String>,
    /// `folded` (like lookups as one entry, the default) or `all`.
    detail: Option<String>,
    /// Entries at most, the latest: 100 by default and 1,000 at most in JSON; all as NDJSON.
    #[param(value_type = Option<usize>)]
    limit: Option<String>,
}

/// A handle's history and what it comes to.
#[derive(Serialize, ToSchema)]
pub(super) struct TimelineBody {
    /// Changes and lookups, oldest first; `omitted` of the summary says how many earlier ones are left out.
    entries: Vec<Entry>,
    /// What an asker would be told, why, since when, and who goes by another answer.
    summary: Summary,
}

impl TimelineQuery {
    fn question(&self, handle: Handle, now: Timestamp, streams: bool) -> Result<Question, Problem> {
        let instant = |text: &str| instant(text, now);
        let detail = |text: &str| match text {
            "folded" => Some(Detail::Folded),
            "all" => Some(Detail::All),
            _ => None,
        };
        Ok(Question {
            handle,
            at: take("at", INSTANT, self.at.as_deref(), instant)?,
            since: take("since", INSTANT, self.since.as_deref(), instant)?,
            until: take("until", INSTANT, self.until.as_deref(), instant)?,
            detail: take("detail", "folded or all", self.detail.as_deref(), detail)?
                .unwrap_or_default(),
            limit: self.limit(streams)?,
        })
    }

    /// What is asked for, as the audit log notes it.
    fn filters(&self, question: &Question) -> Filters {
        let Question { handle, since, until, .. } = question;
        let filter = Filter {
            handle: Some(handle.clone()),
            since: *since,
            until: *until,
            ..Filter::default()
        };
        Filters::of(&filter)
            .plain("at", question.at)
            .plain("detail", self.detail.as_deref())
            .plain("limit", question.limit)
    }

    /// Entries to keep; none for all.
    fn limit(&self, streams: bool) -> Result<Option<usize>, Problem> {
        let most = if streams { usize::MAX } else { limits::LOG_PAGE_RECORDS_MAX };
        let takes = format!("1 to {}; NDJSON streams more", limits::LOG_PAGE_RECORDS_MAX);
        let limit = take("limit", &takes, self.limit.as_deref(), |text| {
            text.parse().ok().filter(|limit| (1..=most).contains(limit))
        })?;
        let all_or_some = if streams { None } else { Some(limits::LOG_PAGE_RECORDS_DEFAULT) };
        Ok(limit.or(all_or_some))
    }
}

/// One reading of one handle's history.
struct Reading {
    reader: LogReader,
    dispatch: Dispatch,
    question: Question,
    now: Timestamp,
}

impl Reading {
    /// Reads on the thread that calls.
    fn run(
        &self,
        is_over: impl Fn() -> bool + Clone + Send + Sync + 'static,
        take: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Summary>, ReadError> {
        let config = self.dispatch.config();
        let reuse = Reuse { live: config.reuse_live, other: config.reuse_other };
        let present = |handles: &[Handle]| {
            let previews = self.dispatch.preview(handles).ok()?;
            Some(previews.into_iter().map(present).collect())
        };
        timeline::read(&self.reader, &self.question, (reuse, self.now), is_over, present, take)
    }
}

fn present(preview: Preview) -> Present {
    let Preview { at, decision, holder, through, since, live_until } = preview;
    let (route, reason) = (decision.route, decision.reason);
    Present { at, route, reason, holder, through, since, live_until }
}

/// Why is it blue or green? Changes and lookups of one handle in one order, each with its reason in a sentence; at the
/// end what a stranger would be told now (or was, `at` a moment), and which askers may still go by another answer.
///
/// `Accept: application/x-ndjson` streams: entries, then the summary (`kind` is `change`, `lookups`, `summary`).
#[utoipa::path(
    get, path = "/v1/handles/{handle}/timeline", tag = "log",
    params(("handle" = String, Path, description = "Phone number in E.164 or e-mail address, percent-encoded"), TimelineQuery),
    responses(
        (status = 200, body = TimelineBody),
        (status = 400, description = "`handle-invalid`; `reason` says why. `request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn timeline(
    Reader(operator): Reader,
    State(state): State<OperatorState>,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<TimelineQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Ok(Path(handle)), Ok(Query(query))) = (path, query) else {
        let detail = "a parameter is unknown, appears twice or is not UTF-8; see /openapi.json";
        return Err(Problem::new(Code::RequestInvalid, detail));
    };
    let handle = Handle::parse(&handle, None).map_err(|error| {
        Problem::new(Code::HandleInvalid, error.to_string()).with("reason", error.reason())
    })?;
    let OperatorState { records, dispatch, clock, searches, .. } = state;
    let now = clock.now();
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let streams = accept.is_some_and(|accept| accept.contains(NDJSON));
    let question = query.question(handle, now, streams)?;
    let permit = searches.search()?;
    let filters = query.filters(&question);
    let (reader, mut audited) = records.read(&operator, Call::Timeline, filters).await?;
    let reading = Reading { reader, dispatch, question, now };
    if streams {
        return Ok(lines::stream(audited, permit, move |lines| write(&reading, lines)));
    }
    // Dropped with this future when the client goes away.
    let client = CancellationToken::new();
    let _here = client.clone().drop_guard();
    let body = tokio::task::spawn_blocking(move || {
        let body = collect(&reading, &client);
        drop(permit);
        // Before the answer is sent: who has it finds it noted.
        if let Ok(Some(body)) = &body {
            audited.add(body.entries.len() as u64);
            audited.finish();
        }
        body
    });
    let failed = || Problem::new(Code::Internal, "the search failed");
    let body = body.await.map_err(|_| failed())?.map_err(|error| unreadable(&error))?;
    Ok(Json(body.ok_or_else(failed)?).into_response())
}

fn collect(
    reading: &Reading,
    client: &CancellationToken,
) -> Result<Option<TimelineBody>, ReadError> {
    let client = client.clone();
    let mut entries = Vec::new();
    let summary = reading.run(move || client.is_cancelled(), &mut |entry| {
        entries.push(entry);
        true
    })?;
    Ok(summary.map(|summary| TimelineBody { entries, summary }))
}

fn write(reading: &Reading, lines: &mut Writer) -> Option<SearchOutcome> {
    match reading.run(lines.is_gone(), &mut |entry| lines.write(&entry)) {
        Ok(Some(summary)) => lines.note(&summary).then(SearchOutcome::default),
        // The client is gone, or so slow that it keeps others from searching.
        Ok(None) => None,
        Err(error) => {
            unreadable(&error);
            None
        }
    }
}

fn unreadable(error: &ReadError) -> Problem {
    tracing::error!(%error, "a timeline could not read a segment");
    Problem::new(Code::Internal, "a segment could not be read; the server's messages say which")
}

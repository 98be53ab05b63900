//! `GET /v1/log/flips`.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::{
    Searches,
    access::Reader,
    filter::{self, INSTANT, take},
    log::unreadable,
    records::Records,
};
use crate::{
    audit::{Call, Filters},
    clock::{SharedClock, Timestamp},
    http::problem::{Code, Problem, ProblemBody},
    limits,
    query_log::{Filter, FlipQuery},
};

/// Which flips to look for.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FlipsQuery {
    /// Lookups from this instant on: RFC 3339, or a span back from now (`90m`, `7d`). Without it all that have not expired.
    since: Option<String>,
    /// Lookups before this instant: RFC 3339, or a span back from now.
    until: Option<String>,
    /// Changes of the route at least: 2 by default, there and back, and no less.
    #[param(value_type = Option<u32>)]
    min: Option<String>,
    /// Handles at most: 100 by default, and 1,000 at most.
    #[param(value_type = Option<usize>)]
    limit: Option<String>,
}

impl FlipsQuery {
    /// What is asked for; spans count back from `now`.
    fn read(&self, now: Timestamp) -> Result<FlipQuery, Problem> {
        let instant = |text: &str| filter::instant(text, now);
        let all = FlipQuery::default();
        let most = limits::LOG_FLIPS_HANDLES_MAX;
        let min = take("min", "a number from 2 on", self.min.as_deref(), |text| {
            text.parse().ok().filter(|min| *min >= FlipQuery::MIN)
        })?;
        let limit = take("limit", &format!("1 to {most}"), self.limit.as_deref(), |text| {
            text.parse().ok().filter(|limit| (1..=most).contains(limit))
        })?;
        Ok(FlipQuery {
            since: take("since", INSTANT, self.since.as_deref(), instant)?,
            until: take("until", INSTANT, self.until.as_deref(), instant)?,
            min: min.unwrap_or(all.min),
            limit: limit.unwrap_or(all.limit),
        })
    }
}

/// Handles whose route went back and forth.
#[derive(Serialize, ToSchema)]
pub(super) struct FlipsBody {
    /// Most changes first, then by handle.
    flips: Vec<FlipBody>,
    /// Over all handles that flipped, those that are not shown too.
    #[schema(value_type = SummaryBody)]
    summary: (),
}

/// One handle whose route went back and forth.
#[derive(Serialize, ToSchema)]
pub(super) struct FlipBody {
    handle: String,
    /// Lookups whose route differed from that of the one before.
    changes: u32,
    #[schema(value_type = String, format = DateTime)]
    first_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_at: Timestamp,
    /// Lookups that were answered.
    lookups: u64,
    /// Of these, how many had which route.
    #[schema(value_type = Object)]
    routes: (),
    /// Of the lookups that changed, how many had which reason.
    #[schema(value_type = Object)]
    reasons: (),
    /// Changes of the registry that concern the handle: `change`, `cause`, `count`.
    #[schema(value_type = Vec<Object>)]
    registry: (),
    /// The latest changes, oldest first, ten at most: `at`, `from`, `to`, `reason`.
    #[schema(value_type = Vec<Object>)]
    latest: (),
    /// The likely cause, as a code.
    likely: String,
    /// The likely cause, as a sentence.
    because: String,
}

/// All handles that flipped.
#[derive(Serialize, ToSchema)]
pub(super) struct SummaryBody {
    /// Lookups from this instant on were counted.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Lookups before this instant were counted; absent if there was no such bound.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Handles that flipped.
    handles: u64,
    /// Changes of their routes.
    changes: u64,
    /// How many handles have which likely cause: `likely`, `because`, `handles`.
    #[schema(value_type = Vec<Object>)]
    likely: (),
    /// Damaged places of the log that were passed over: lookups that are missing may hide changes.
    damaged: u64,
    /// Segments of the log that could not be read.
    unreadable_segments: u64,
}

/// Finds the handles whose route went back and forth, most often first, and the likely cause of each. It reads the whole
/// window: over thirty days this takes a while.
#[utoipa::path(
    get, path = "/v1/log/flips", tag = "log", params(FlipsQuery),
    responses(
        (status = 200, body = FlipsBody),
        (status = 400, description = "`request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn flips(
    Reader(operator): Reader,
    State(records): State<Records>,
    State(clock): State<SharedClock>,
    State(searches): State<Searches>,
    query: Result<Query<FlipsQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let detail = "a parameter is unknown, appears twice or is not UTF-8; see /openapi.json";
    let Query(query) = query.map_err(|_| Problem::new(Code::RequestInvalid, detail))?;
    let query = query.read(clock.now())?;
    let permit = searches.search()?;
    let (since, until) = (query.since, query.until);
    let filters = Filters::of(&Filter { since, until, ..Filter::default() })
        .plain("min", Some(query.min))
        .plain("limit", Some(query.limit));
    let (reader, mut audited) = records.read(&operator, Call::Flips, filters).await?;
    // Dropped with this future when the client goes away.
    let client = CancellationToken::new();
    let _here = client.clone().drop_guard();
    let report = tokio::task::spawn_blocking(move || {
        let report = reader.flips(&query, &|| client.is_cancelled());
        drop(permit);
        // Before the answer is sent: who has it finds it noted.
        if let Ok(report) = &report {
            audited.add(report.flips.len() as u64);
            audited.finish();
        }
        report
    });
    let report = report.await.map_err(|_| Problem::new(Code::Internal, "the search failed"))?;
    Ok(Json(report.map_err(|error| unreadable(&error))?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    #[test]
    fn parameters_have_their_defaults_and_their_bounds() {
        assert_eq!(FlipsQuery::default().read(NOW).unwrap(), FlipQuery::default());
        let query = FlipsQuery {
            since: Some("2d".into()),
            until: Some("2027-01-15T08:00:00Z".into()),
            min: Some("2".into()),
            limit: Some("1000".into()),
        };
        let day = std::time::Duration::from_secs(24 * 3600);
        let wanted =
            FlipQuery { since: Some(NOW.minus(day * 2)), until: Some(NOW), min: 2, limit: 1_000 };
        assert_eq!(query.read(NOW).unwrap(), wanted);
        type Set = fn(&mut FlipsQuery, String);
        let cases: [(&str, Set, &[&str]); 4] = [
            ("since", |query, text| query.since = Some(text), &["yesterday-x", ""]),
            ("until", |query, text| query.until = Some(text), &["2027-13-01T00:00:00Z"]),
            ("min", |query, text| query.min = Some(text), &["1", "0", "-2", "two-x", ""]),
            ("limit", |query, text| query.limit = Some(text), &["0", "1001", "all-x"]),
        ];
        for (name, set, wrong) in cases {
            for text in wrong {
                let mut query = FlipsQuery::default();
                set(&mut query, (*text).into());
                let problem = format!("{:?}", query.read(NOW).unwrap_err());
                assert!(problem.contains(&format!("`{name}` takes")), "{problem}");
                assert!(text.len() < 4 || !problem.contains(text), "{problem}");
            }
        }
    }
}

//! `GET /v1/audit`, `/v1/audit/verify`: who read the log. For admins, and audited itself.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Searches,
    access::Admin,
    filter::{self, INSTANT, take},
    lines,
    records::Records,
};
use crate::{
    audit::{AuditError, Call, Filters, Wanted},
    clock::{SharedClock, Timestamp},
    http::problem::{Code, Problem, ProblemBody},
    operators,
    query_log::SearchOutcome,
};

/// Which calls. Everything named must hold.
#[derive(Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Begun from this instant on: RFC 3339, or a span back from now (`90m`, `7d`).
    since: Option<String>,
    /// Begun before this instant: RFC 3339, or a span back from now.
    until: Option<String>,
    /// An operator's name, or `local:` and the number of a user of the machine.
    operator: Option<String>,
    /// Calls that named this phone number or e-mail address, as far back as the log can be read.
    handle: Option<String>,
}

impl AuditQuery {
    fn wanted(&self, now: Timestamp) -> Result<Wanted, Problem> {
        let instant = |text: &str| filter::instant(text, now);
        let name = |text: &str| operators::is_name(text.trim_start_matches("local:"));
        let takes = "an operator's name, or local: and a user's number";
        Ok(Wanted {
            since: take("since", INSTANT, self.since.as_deref(), instant)?,
            until: take("until", INSTANT, self.until.as_deref(), instant)?,
            operator: take("operator", takes, self.operator.as_deref(), |text| {
                name(text).then(|| text.to_owned())
            })?,
            handle: take("handle", filter::HANDLE, self.handle.as_deref(), filter::handle)?,
        })
    }
}

/// Lists the calls that read the log, oldest first.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses(
        (status = 200, description = "One JSON object a line: `n`, `at`, `operator`, `call`, `filters`, and once it has \
            ended `records`, `whole`, `ended_at`. A personal filter is `hour` and `fingerprint`.",
            content_type = "application/x-ndjson"),
        (status = 400, description = "`request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 403, description = "`role-insufficient`", body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn list(
    Admin(operator): Admin,
    State(records): State<Records>,
    State(clock): State<SharedClock>,
    State(searches): State<Searches>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let detail = "a parameter is unknown, appears twice or is not UTF-8; see /openapi.json";
    let Query(query) = query.map_err(|_| Problem::new(Code::RequestInvalid, detail))?;
    let wanted = query.wanted(clock.now())?;
    let permit = searches.search()?;
    let filters = wanted.filters();
    let (audit, audited) = records.read_audit(&operator, Call::AuditList, filters).await?;
    let listed = tokio::task::spawn_blocking(move || audit.list(wanted)).await;
    let listing = listed.map_err(|_| failed())?.map_err(|error| unreadable(&error))?;
    Ok(lines::stream(audited, permit, move |lines| {
        let is_gone = lines.is_gone();
        lines.write_all(listing.take_while(|_| !is_gone())).then(SearchOutcome::default)
    }))
}

/// Reads the chain of entries and says where it is not what was written.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit",
    responses(
        (status = 200, description = "A report; `sound` says it in a word, `head` is to be noted elsewhere",
            body = serde_json::Value),
        (status = 401, body = ProblemBody),
        (status = 403, description = "`role-insufficient`", body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn verify(
    Admin(operator): Admin,
    State(records): State<Records>,
    State(searches): State<Searches>,
) -> Result<Response, Problem> {
    let permit = searches.search()?;
    let filters = Filters::none();
    let (audit, audited) = records.read_audit(&operator, Call::AuditVerify, filters).await?;
    let report = tokio::task::spawn_blocking(move || {
        let report = audit.verify();
        drop(permit);
        audited.finish();
        report
    });
    let report = report.await.map_err(|_| failed())?;
    Ok(Json(report.map_err(|error| unreadable(&error))?).into_response())
}

fn failed() -> Problem {
    Problem::new(Code::Internal, "reading the audit log failed")
}

fn unreadable(error: &AuditError) -> Problem {
    tracing::error!(%error, "the audit log cannot be read");
    Problem::new(Code::Internal, "the audit log cannot be read; the server's messages say why")
}

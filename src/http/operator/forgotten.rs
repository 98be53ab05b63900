//! `GET /v1/log/forgotten`: whether what was to be forgotten is.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{Searches, access::Reader, records::Records};
use crate::{
    http::problem::{Code, Problem, ProblemBody},
    query_log::ForgottenReport,
};

/// What was looked at, what should not be there, and what it comes to.
#[derive(Serialize)]
struct Judged {
    proved: bool,
    #[serde(flatten)]
    report: ForgottenReport,
}

/// Looks for keys, files and readable records older than the retention.
#[utoipa::path(
    get, path = "/v1/log/forgotten", tag = "log",
    responses(
        (status = 200, description = "A report; `proved` says it in a word, `findings` what should not be there. No record \
            is in it, only the instant of the oldest one.", body = serde_json::Value),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn forgotten(
    _: Reader,
    State(records): State<Records>,
    State(searches): State<Searches>,
) -> Result<Response, Problem> {
    let permit = searches.search()?;
    let looked = tokio::task::spawn_blocking(move || {
        let looked = records.prove_forgotten();
        drop(permit);
        looked
    });
    let looked = looked.await.map_err(|_| Problem::new(Code::Internal, "looking failed"))?;
    let report = looked.map_err(|error| {
        tracing::error!(%error, "what is forgotten cannot be told");
        Problem::new(Code::Internal, "log or keys cannot be read; the server's messages say why")
    })?;
    Ok(Json(Judged { proved: report.is_proved(), report }).into_response())
}

//! `GET /v1/log/flips`.

use axum::{Json, extract::State};

use super::{access::Reader, parameters::Parameters, reads::Reads};
use crate::{
    api::FlipsRequest,
    http::problem::{Problem, ProblemBody},
    query_log::FlipReport,
};

/// Finds the handles whose route went back and forth, most often first, and the likely cause of each. It reads the whole
/// window, so over 30 days it takes a while.
#[utoipa::path(
    get, path = "/v1/log/flips", tag = "log", params(FlipsRequest),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, description = "`request-invalid`", body = ProblemBody),
        (status = 401, body = ProblemBody),
        (status = 503, description = "`overloaded`, `audit-unwritable`", body = ProblemBody),
    ),
    security(("operator" = [])),
)]
pub(super) async fn flips(
    Reader(operator): Reader,
    State(reads): State<Reads>,
    Parameters(request): Parameters<FlipsRequest>,
) -> Result<Json<FlipReport>, Problem> {
    reads.answer(operator, request).await
}

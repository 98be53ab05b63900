//! `GET /v1/clock`, `POST /v1/clock/trust`.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};

use super::{
    access::{Admin, authorize},
    reads::Reads,
};
use crate::{
    clock::{ClockStatus, TrustedClock},
    http::problem::{Code, Problem},
    operators::{Operators, Role},
};

/// Shows trusted time, the machine's wall clock, and whether the one follows the other.
#[utoipa::path(
    get, path = "/v1/clock", tag = "health",
    responses((status = 200, body = ClockStatus)),
    security(("operator" = [])),
)]
pub(super) async fn clock_status(
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    State(clock): State<Arc<TrustedClock>>,
) -> Result<Json<ClockStatus>, Problem> {
    authorize(&headers, &operators, Role::Reader)?;
    Ok(Json(clock.status()))
}

/// Says that the wall clock is right: trusted time follows it from now on. What is older than the retention by the new time is
/// destroyed within a minute.
#[utoipa::path(
    post, path = "/v1/clock/trust", tag = "health",
    responses((status = 200, body = ClockStatus)),
    security(("operator" = ["admin"])),
)]
pub(super) async fn trust_clock(
    Admin(by): Admin,
    State(reads): State<Reads>,
    State(clock): State<Arc<TrustedClock>>,
) -> Result<Json<ClockStatus>, Problem> {
    let trust = move || reads.records.trust_clock(&clock, &by);
    let trusted = tokio::task::spawn_blocking(trust)
        .await
        .map_err(|_| Problem::new(Code::Internal, "the clock could not be followed"))??;
    trusted.map(Json).map_err(|error| {
        tracing::error!(%error, "trusted time cannot be saved");
        let detail = "the wall clock is followed now, but that could not be saved: after a restart it may not be; is the disk \
                      full?";
        Problem::new(Code::Internal, detail)
    })
}

//! `GET /livez` and `GET /readyz`, on both listeners, without a token.

use std::sync::Arc;

use super::problem::{Code, Problem};
use crate::{
    api::{Missing, Ready},
    dispatch::Refusal,
    query_log::QueryLog,
    registry::Registry,
    shared_log::Fence,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// Reports that the server runs.
#[utoipa::path(get, path = "/livez", tag = "health", operation_id = "livez", responses((status = 200, description = "The server runs")))]
pub(super) async fn livez() -> StatusCode {
    StatusCode::OK
}

/// Reports whether the service can answer lookups, and what is missing if not.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses(
        (status = 200, description = "The service answers lookups", body = Ready),
        (status = 503, description = "`registry-loading`, `registry-behind`, `registry-diverged`, `log-unwritable`; `missing` names it"),
    ),
)]
pub(super) async fn readyz(
    State(registry): State<Arc<Registry>>,
    State(log): State<QueryLog>,
    State(fence): State<Option<Fence>>,
) -> Response {
    let (problem, missing) = if !registry.is_ready() {
        let problem = Problem::new(Code::RegistryLoading, "the registry is being loaded");
        (problem, Missing::Registry)
    } else if let Some(hold) = registry.held() {
        (Problem::new(Code::RegistryBehind, hold.to_string()), Missing::Registry)
    } else if !log.is_writable() {
        let detail = "the query log cannot be written; check the free space of the data disk";
        (Problem::new(Code::LogUnwritable, detail), Missing::Log)
    } else if let Some(fence) = fence
        && let Err(not_current) = fence.probe().await
    {
        (Refusal::from(not_current).into(), Missing::Registry)
    } else {
        return Json(Ready { ready: true }).into_response();
    };
    Problem { missing: Some([missing].into()), ..problem }.into_response()
}

//! `GET /livez` and `GET /readyz`, on both listeners, without a token.

use std::sync::Arc;

use super::problem::{Code, Problem};
use crate::{
    api::{Missing, Ready},
    query_log::QueryLog,
    registry::Registry,
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
        (status = 503, description = "`registry-loading`, `log-unwritable`; `missing` names it"),
    ),
)]
pub(super) async fn readyz(
    State(registry): State<Arc<Registry>>,
    State(log): State<QueryLog>,
) -> Response {
    let (code, missing, detail) = if !registry.is_ready() {
        (Code::RegistryLoading, Missing::Registry, "the registry is being loaded")
    } else if !log.is_writable() {
        let detail = "the query log cannot be written; check the free space of the data disk";
        (Code::LogUnwritable, Missing::Log, detail)
    } else {
        return Json(Ready { ready: true }).into_response();
    };
    Problem { missing: Some([missing].into()), ..Problem::new(code, detail) }.into_response()
}

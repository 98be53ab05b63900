//! `GET /livez` and `GET /readyz`, on both listeners, without a token.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Code, Problem};
use crate::{query_log::QueryLog, registry::Registry};

/// The answer of a service that is ready.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
}

/// Reports that the server runs.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "The server runs")))]
pub(super) async fn livez() -> StatusCode {
    StatusCode::OK
}

/// Reports whether the service can answer lookups, and what is missing if not.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "`registry-loading`, `log-unwritable`; `missing` names it"),
    ),
)]
pub(super) async fn readyz(
    State(registry): State<Arc<Registry>>,
    State(log): State<QueryLog>,
) -> Response {
    let (code, missing, detail) = if !registry.is_ready() {
        (Code::RegistryLoading, "registry", "the registry is being loaded")
    } else if !log.is_writable() {
        let detail = "the query log cannot be written; check the free space of the data disk";
        (Code::LogUnwritable, "log", detail)
    } else {
        return Json(Ready { ready: true }).into_response();
    };
    Problem::new(code, detail).with("missing", vec![missing]).into_response()
}

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

use super::problem::{Code, Problem, ProblemBody};
use crate::{query_log::QueryLog, registry::Registry};

/// What must be there before a lookup can be answered.
#[derive(Clone, Debug)]
pub struct Health {
    registry: Arc<Registry>,
    log: QueryLog,
}

/// The service can answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
}

impl Health {
    /// Watches these two.
    #[must_use]
    pub fn new(registry: Arc<Registry>, log: QueryLog) -> Self {
        Self { registry, log }
    }

    /// Whether the query log takes records at present.
    pub(super) fn is_log_writable(&self) -> bool {
        self.log.is_writable()
    }

    fn missing(&self) -> Option<(Code, &'static str)> {
        if !self.registry.is_ready() {
            Some((Code::RegistryLoading, "the registry is being loaded"))
        } else if !self.is_log_writable() {
            Some((Code::LogUnwritable, "the query log cannot be written; is the disk full?"))
        } else {
            None
        }
    }
}

/// Whether the server runs.
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It runs")))]
pub(super) async fn livez() -> StatusCode {
    StatusCode::OK
}

/// Whether lookups are answered, or what is missing.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, body = Ready),
        (status = 503, description = "`registry-loading`, `log-unwritable`; `missing` names it", body = ProblemBody),
    ),
)]
pub(super) async fn readyz(State(health): State<Health>) -> Response {
    match health.missing() {
        None => Json(Ready { ready: true }).into_response(),
        Some((code, detail)) => {
            let missing = match code {
                Code::RegistryLoading => "registry",
                _ => "log",
            };
            Problem::new(code, detail).with("missing", vec![missing]).into_response()
        }
    }
}

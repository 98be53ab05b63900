//! `GET /v1/registry`.

use std::sync::Arc;

use axum::{Json, extract::State};

use super::access::Reader;
use crate::{
    api::RegistryFigures,
    clock::SharedClock,
    http::problem::{Code, Problem},
    registry::{ChangeError, Registry},
};

/// Counts handles, devices and accounts. Reads the whole index, a shard at a time.
#[utoipa::path(
    get, path = "/v1/registry", tag = "registry",
    responses((status = 200, body = RegistryFigures), (status = 503)),
    security(("operator" = [])),
)]
pub(super) async fn counts(
    _: Reader,
    State(registry): State<Arc<Registry>>,
    State(clock): State<SharedClock>,
) -> Result<Json<RegistryFigures>, Problem> {
    let counted = tokio::task::spawn_blocking(move || registry.counts(clock.now()))
        .await
        .map_err(|_| Problem::new(Code::Internal, "counting failed"))?;
    Ok(Json(counted.map_err(|_| ChangeError::Loading)?.into()))
}

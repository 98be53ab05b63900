//! A device's handles: claim one, give it up, hide it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};

use super::{
    device_auth::{Device, not_bound},
    devices::secret,
};
use crate::{
    api::{HandleChange, HandleDetails, HandleRequest, ProvedHandle, Verification},
    dispatch::{Caller, Refusal},
    handle::Handle,
    http::{
        body::JsonBody,
        problem::{Code, Problem},
    },
    quota::Quota,
    registry::Registry,
    verification::{BeginError, Begun, VerificationService},
    vocabulary::Limit,
};

/// The handle of a claim or a deregistration.
pub(super) fn parse(request: &HandleRequest) -> Result<Handle, Problem> {
    let parsed = Handle::parse_in(&request.handle, request.region.as_deref());
    parsed.map_err(|error| Refusal::Handle(error).into())
}

/// Claims a handle: a code is sent to it, unless the account holds the proof already. The same claim again gives the same
/// verification while it is open, and sends another code from `next_send_at` on.
#[utoipa::path(
    post, path = "/v1/devices/me/handles", tag = "handles", operation_id = "claimHandle",
    request_body = HandleRequest,
    responses(
        (status = 200, description = "The account held the proof already", body = ProvedHandle),
        (status = 202, description = "A code was sent", body = Verification),
        (status = 400, description = "`handle-invalid`; `reason` says why"),
        (status = 409, description = "`too-many-handles-held`"),
        (status = 422, description = "`delivery-refused`"),
        (status = 429, description = "`rate-limited`"),
        (status = 502, description = "`delivery-failed`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn claim(
    State(verifications): State<Arc<VerificationService>>,
    State(quota): State<Arc<Quota>>,
    Device(asker): Device,
    caller: Caller,
    JsonBody(request): JsonBody<HandleRequest>,
) -> Result<Response, Problem> {
    quota.spend_change(asker.account).await?;
    let handle = parse(&request)?;
    let from = quota.is_enabled().then_some(caller.ip);
    match verifications.begin_binding(asker, handle, from).await? {
        Begun::Bound { handle, proved_at } => {
            let handle = handle.canonical().into_owned();
            Ok(secret(Json(ProvedHandle { handle, proved_at })))
        }
        Begun::Sent(verification) => Ok(secret((StatusCode::ACCEPTED, Json(verification)))),
    }
}

/// Gives a handle up. It stays given up until it is proved again.
#[utoipa::path(
    delete, path = "/v1/devices/me/handles/{handle}", tag = "handles", operation_id = "releaseHandle",
    params(
        ("handle" = String, Path, description = "Phone number or e-mail address, percent-encoded", example = "+14155550123"),
    ),
    responses(
        (status = 204, description = "Given up"),
        (status = 404, description = "`handle-not-bound`"),
        (status = 429, description = "`rate-limited`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn unbind(
    State(quota): State<Arc<Quota>>,
    State(registry): State<Arc<Registry>>,
    Device(asker): Device,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    quota.spend_change(asker.account).await?;
    let handle = parse_own(path)?;
    registry.unbind(asker.device, handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Hides a handle from strangers or shows it to them.
#[utoipa::path(
    patch, path = "/v1/devices/me/handles/{handle}", tag = "handles", operation_id = "updateHandle",
    params(
        ("handle" = String, Path, description = "Phone number or e-mail address, percent-encoded", example = "+14155550123"),
    ),
    request_body = HandleChange,
    responses(
        (status = 200, description = "The handle as it is now", body = HandleDetails),
        (status = 404, description = "`handle-not-bound`"),
        (status = 429, description = "`rate-limited`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn set_discoverable(
    State(quota): State<Arc<Quota>>,
    State(registry): State<Arc<Registry>>,
    Device(asker): Device,
    path: Result<Path<String>, PathRejection>,
    JsonBody(change): JsonBody<HandleChange>,
) -> Result<Response, Problem> {
    quota.spend_change(asker.account).await?;
    let handle = parse_own(path)?;
    let held = registry.set_discoverable(asker.device, handle, change.discoverable).await?;
    Ok(secret(Json(held)))
}

/// What is no handle, or not even text, is certainly none that this device backs.
fn parse_own(path: Result<Path<String>, PathRejection>) -> Result<Handle, Problem> {
    let Path(text) = path.map_err(|_| not_bound())?;
    Handle::parse(&text, None).map_err(|_| not_bound())
}

impl From<BeginError> for Problem {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::RateLimited { limit, retry_after } => {
                let detail = match limit {
                    Limit::Resend => "a code was asked for a moment ago; ask again after the pause",
                    Limit::CountryPaused => {
                        "codes to this country are paused, since hardly any was answered; ask again later"
                    }
                    _ => "too many codes were asked for; ask again later",
                };
                Self::limited(limit, detail, retry_after)
            }
            BeginError::Overloaded => Self::new(Code::Overloaded, "slow down and try again"),
            BeginError::DeliveryFailed { retry_after } => {
                let detail = "ask again; if a message arrives after all, its code is good";
                Self::new(Code::DeliveryFailed, detail).after(retry_after)
            }
            BeginError::DeliveryRefused => {
                let detail = "no message can reach this handle; check it, or prove another one";
                Self::new(Code::DeliveryRefused, detail)
            }
            BeginError::Registry(error) => error.into(),
        }
    }
}

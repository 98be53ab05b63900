//! Devices: sign up, see oneself, check in, sign out, link another.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::device_auth::{Device, device_gone, not_bound};
use crate::{
    api::{CheckInAnswer, LinkCodeAnswer, OwnDevice, SignUpAnswer, SignUpRequest},
    clock::{SharedClock, Timestamp},
    dispatch::Caller,
    http::{
        body::JsonBody,
        problem::{Code, Problem},
    },
    limits,
    quota::Quota,
    registry::{DeviceError, Registry, SignUp, SignedUp},
    verification::{JoinError, LinkError, VerificationService},
    vocabulary::Limit,
};

/// Signs a device up.
#[utoipa::path(
    post, path = "/v1/devices", tag = "devices", operation_id = "signUp",
    request_body = SignUpRequest,
    responses(
        (status = 201, description = "Signed up", body = SignUpAnswer),
        (status = 403, description = "`link-code-invalid`"),
        (status = 409, description = "`too-many-devices`"),
        (status = 429, description = "`rate-limited`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
)]
pub(super) async fn sign_up(
    State(registry): State<Arc<Registry>>,
    State(verifications): State<Arc<VerificationService>>,
    State(quota): State<Arc<Quota>>,
    caller: Caller,
    JsonBody(request): JsonBody<SignUpRequest>,
) -> Result<Response, Problem> {
    quota.spend_sign_up(caller.ip, request.link_code.is_some()).await?;
    let SignUpRequest { platform, name, link_code } = request;
    let request = SignUp { platform, name, link: None };
    let signed_up = match link_code {
        Some(code) => verifications.join(request, &code).await?,
        None => registry.sign_up(request).await?,
    };
    let SignedUp { device, account, token, lease_expires_at } = signed_up;
    let token = token.expose().to_owned();
    let body = SignUpAnswer { device, account, token, lease_expires_at };
    Ok(secret((StatusCode::CREATED, Json(body))))
}

/// The device whose token this is.
#[utoipa::path(
    get, path = "/v1/devices/me", tag = "devices", operation_id = "getDevice",
    responses(
        (status = 200, description = "The device", body = OwnDevice),
        (status = 503, description = "`registry-loading`, `registry-unwritable`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn me(
    State(registry): State<Arc<Registry>>,
    State(clock): State<SharedClock>,
    Device(asker): Device,
) -> Result<Response, Problem> {
    let device = tokio::task::spawn_blocking(move || registry.device(asker.device)).await;
    let device = device.map_err(|_| Problem::new(Code::Internal, "reading failed"))??;
    let device = device.ok_or_else(device_gone)?;
    let expires_in = seconds_left(device.lease_expires_at, clock.now());
    Ok(secret(Json(OwnDevice { device, expires_in })))
}

/// Whole seconds until the lease ends, rounded down: whoever counts on them is never late.
fn seconds_left(lease_expires_at: Timestamp, now: Timestamp) -> u64 {
    lease_expires_at.since(now).as_secs()
}

/// Renews the device's lease. Renews a device, never a handle: one that went elsewhere does not come back.
#[utoipa::path(
    post, path = "/v1/devices/me/check-in", tag = "devices", operation_id = "checkIn",
    responses(
        (status = 200, description = "The lease was renewed", body = CheckInAnswer),
        (status = 429, description = "`rate-limited`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn check_in(
    State(quota): State<Arc<Quota>>,
    State(registry): State<Arc<Registry>>,
    State(clock): State<SharedClock>,
    Device(asker): Device,
) -> Result<Response, Problem> {
    quota.spend_change(asker.account).await?;
    let lease_expires_at = registry.check_in(asker.device).await?;
    let expires_in = seconds_left(lease_expires_at, clock.now());
    Ok(secret(Json(CheckInAnswer { lease_expires_at, expires_in })))
}

/// Signs the device out: it and its bindings are gone, from the next lookup on.
#[utoipa::path(
    delete, path = "/v1/devices/me", tag = "devices", operation_id = "signOut",
    responses(
        (status = 204, description = "Signed out"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn sign_out(
    State(registry): State<Arc<Registry>>,
    Device(asker): Device,
) -> Result<StatusCode, Problem> {
    registry.sign_out(asker.device).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a code with which another device of the same person signs up, joins the account and backs its handles.
#[utoipa::path(
    post, path = "/v1/devices/me/link-codes", tag = "devices", operation_id = "createLinkCode",
    responses(
        (status = 201, description = "The code", body = LinkCodeAnswer),
        (status = 429, description = "`rate-limited`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `overloaded`"),
    ),
    security(("device" = [])),
)]
pub(super) async fn issue_link_code(
    State(quota): State<Arc<Quota>>,
    State(verifications): State<Arc<VerificationService>>,
    Device(asker): Device,
) -> Result<Response, Problem> {
    quota.spend_change(asker.account).await?;
    let code = verifications.issue_link_code(asker).await.map_err(|error| match error {
        LinkError::TooMany { retry_after } => {
            let detail = "the account has as many open link codes as it may have";
            Problem::limited(Limit::LinkCodes, detail, retry_after)
        }
        LinkError::Overloaded => Problem::new(Code::Overloaded, "slow down and try again"),
        LinkError::Registry(error) => error.into(),
    })?;
    let body = LinkCodeAnswer { link_code: code.expose().to_owned(), expires_at: code.expires_at };
    Ok(secret((StatusCode::CREATED, Json(body))))
}

fn link_code_invalid() -> Problem {
    let detail = "the code is unknown, was used, or is older than ten minutes; make a new one";
    Problem::new(Code::LinkCodeInvalid, detail)
}

/// An answer that no cache may keep: it holds a token, a code or somebody's handles.
pub(super) fn secret(response: impl IntoResponse) -> Response {
    let mut response = response.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::CodeInvalid => link_code_invalid(),
            JoinError::Registry(error) => error.into(),
        }
    }
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::DeviceUnknown => device_gone(),
            DeviceError::NotBound => not_bound(),
            DeviceError::TooManyHandles { handles_max } => {
                let detail = format!("an account holds at most {handles_max} handles; give one up");
                Self::new(Code::TooManyHandlesHeld, detail)
            }
            DeviceError::AccountGone => link_code_invalid(),
            DeviceError::TooManyDevices { devices_max } => {
                let detail = format!("an account has at most {devices_max} devices; sign one out");
                Self::new(Code::TooManyDevices, detail)
            }
            DeviceError::NameTooLong => {
                let bytes_max = limits::DEVICE_NAME_BYTES_MAX;
                Self::new(Code::RequestInvalid, format!("`name` takes at most {bytes_max} bytes"))
            }
            DeviceError::Change(error) => error.into(),
        }
    }
}

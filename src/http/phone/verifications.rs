//! Proofs: answer a code; take a handle back without a device.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
};

use super::{devices::secret, handles};
use crate::{
    api::{
        CodeRequest, Confirmation, DeregisteredHandle, HandleRequest, ProvedHandle, Verification,
    },
    dispatch::Caller,
    http::{
        body::JsonBody,
        problem::{Code, Problem},
    },
    ids::VerificationId,
    quota::Quota,
    verification::{ConfirmError, Confirmed, VerificationService},
    vocabulary::Limit,
};

/// Answers a code. Binds the handle to the device that asked, or takes it back from every device. The right code gives the
/// same answer again for a minute.
#[utoipa::path(
    post, path = "/v1/verifications/{verification}", tag = "handles", operation_id = "confirmVerification",
    params(
        ("verification" = VerificationId, Path, description = "The verification that the code was sent for", example = "v_0123456789abc"),
    ),
    request_body = CodeRequest,
    responses(
        (status = 200, description = "Bound (`proved_at`) or taken back (`deregistered`)", body = Confirmation),
        (status = 401, description = "`token-invalid`: the device has signed out"),
        (status = 403, description = "`code-wrong`: `attempts_left` says how often it may be tried; `code-overtaken`: a newer code was sent"),
        (status = 404, description = "`verification-unknown`"),
        (status = 409, description = "`too-many-handles-held`"),
        (status = 410, description = "`code-expired`"),
        (status = 429, description = "`rate-limited`: the attempts are used up"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `log-unwritable`, `overloaded`"),
    ),
)]
pub(super) async fn confirm(
    State(verifications): State<Arc<VerificationService>>,
    path: Result<Path<String>, PathRejection>,
    JsonBody(request): JsonBody<CodeRequest>,
) -> Result<Response, Problem> {
    let id = path.ok().and_then(|Path(text)| text.parse().ok());
    let verification: VerificationId = id.ok_or(ConfirmError::Unknown)?;
    let confirmation = match verifications.confirm(verification, &request.code).await? {
        Confirmed::Bound { handle, proved_at } => {
            let handle = handle.canonical().into_owned();
            Confirmation::Bound(ProvedHandle { handle, proved_at })
        }
        Confirmed::Deregistered { handle } => {
            let handle = handle.canonical().into_owned();
            Confirmation::Deregistered(DeregisteredHandle { handle, deregistered: true })
        }
    };
    Ok(secret(Json(confirmation)))
}

/// Takes a handle back without a device: the phone is gone. The answer is the same whether or not anybody holds it, and
/// whatever becomes of the message.
#[utoipa::path(
    post, path = "/v1/deregistrations", tag = "handles", operation_id = "deregisterHandle",
    request_body = HandleRequest,
    responses(
        (status = 202, description = "A code is being sent", body = Verification),
        (status = 400, description = "`handle-invalid`; `reason` says why"),
        (status = 429, description = "`rate-limited`"),
        (status = 503, description = "`registry-loading`, `registry-unwritable`, `overloaded`"),
    ),
)]
pub(super) async fn deregister(
    State(verifications): State<Arc<VerificationService>>,
    State(quota): State<Arc<Quota>>,
    caller: Caller,
    JsonBody(request): JsonBody<HandleRequest>,
) -> Result<Response, Problem> {
    let handle = handles::parse(&request)?;
    let from = quota.is_enabled().then_some(caller.ip);
    let verification = verifications.begin_deregistration(handle, from).await?;
    Ok(secret((StatusCode::ACCEPTED, Json(verification))))
}

impl From<ConfirmError> for Problem {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::CodeWrong { attempts_left } => {
                let detail = "compare it with the message, or ask for a new one";
                Self { attempts_left: Some(attempts_left), ..Self::new(Code::CodeWrong, detail) }
            }
            ConfirmError::CodeOvertaken => {
                Self::new(Code::CodeOvertaken, "enter the code of the newest message")
            }
            ConfirmError::Unknown => {
                Self::new(Code::VerificationUnknown, "ask for a new code with the handle")
            }
            ConfirmError::Expired => {
                Self::new(Code::CodeExpired, "ask for a new code with the handle")
            }
            ConfirmError::TooManyAttempts { retry_after } => {
                let detail = "the attempts are used up; ask for a new code";
                let problem = Self::limited(Limit::CodeAttempts, detail, retry_after);
                Self { attempts_left: Some(0), ..problem }
            }
            ConfirmError::Registry(error) => error.into(),
        }
    }
}

//! `GET /v1/audit`, `/v1/audit/verify`: who read the log. For admins, and audited itself.

use axum::{Json, extract::State, response::Response};

use super::{access::Admin, parameters::Parameters, reads::Reads};
use crate::{
    api::{AuditRequest, AuditVerifyRequest},
    audit::{Listed, VerifyReport},
    http::problem::Problem,
};

/// Lists the calls that read the log, oldest first, one JSON object a line. A personal filter is an hour and a fingerprint
/// under the key of that hour.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit", params(AuditRequest),
    responses(
        (status = 200, description = "A call a line", body = Listed, content_type = "application/x-ndjson"),
        (status = 403, description = "`role-insufficient`"),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn list(
    Admin(operator): Admin,
    State(reads): State<Reads>,
    Parameters(request): Parameters<AuditRequest>,
) -> Result<Response, Problem> {
    reads.rows(operator, request).await
}

/// Reads the chain of entries and says where it is not what was written. Store `head` elsewhere and compare it later.
#[utoipa::path(
    get, path = "/v1/audit/verify", tag = "audit",
    responses(
        (status = 200, body = VerifyReport),
        (status = 403, description = "`role-insufficient`"),
        (status = 503, description = "`overloaded`, `audit-unwritable`"),
    ),
    security(("operator" = [])),
)]
pub(super) async fn verify(
    Admin(operator): Admin,
    State(reads): State<Reads>,
    Parameters(request): Parameters<AuditVerifyRequest>,
) -> Result<Json<VerifyReport>, Problem> {
    reads.answer(operator, request).await
}

//! `GET /v1/clock`, `POST /v1/clock/trust`.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
};
use tokio::task::spawn_blocking;

use super::{
    access::{Gate, authorize},
    reads::Reads,
};
use crate::{
    api::{ClockReport, TrustRequest},
    audit::Call,
    clock::{ClockStatus, TrustedClock},
    http::{
        problem::{Code, Problem},
        query::{self, NoParameters},
    },
    operators::{Operators, Role},
    reading::ReadingError,
    registry::Registry,
};

/// What a report is made from.
#[derive(Clone)]
pub(super) struct Sources {
    pub(super) clock: Arc<TrustedClock>,
    pub(super) reads: Reads,
    pub(super) registry: Arc<Registry>,
}

impl Sources {
    fn report(&self) -> Result<ClockReport, ReadingError> {
        ClockReport::of(self.clock.status(), |status| Ok(self.reads.records.expiring(status.wall)))
    }
}

/// Shows trusted time, the machine's wall clock, and whether the one follows the other. If not, `if_trusted` says what would be
/// destroyed if it did.
#[utoipa::path(
    get, path = "/v1/clock", operation_id = "getClock", tag = "clock",
    responses((status = 200, description = "What the clocks show", body = ClockReport)),
    security(("operator" = ["reader"])),
)]
pub(super) async fn clock_status(
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    _: NoParameters,
    State(sources): State<Sources>,
) -> Result<Json<ClockReport>, Problem> {
    authorize(&headers, &operators, Role::Reader)?;
    let report = spawn_blocking(move || sources.report()).await;
    Ok(Json(report.map_err(|_| Problem::new(Code::Internal, "the clock could not be read"))??))
}

/// Says that the wall clock is right: trusted time follows it from now on. What is older than the retention by the new time is
/// destroyed within a minute. If there is such data, the call is refused, and says how much there is, unless `yes` is true.
///
/// In a cluster this node then also decides changes by its clock if the last entry of the shared log was decided later than that.
#[utoipa::path(
    post, path = "/v1/clock/trust", operation_id = "trustClock", tag = "clock", params(TrustRequest),
    responses(
        (status = 200, description = "What the clocks show now", body = ClockStatus),
        (status = 400, description = "`request-invalid`: it would destroy data, and `yes` is not true"),
        (status = 503, description = "`audit-unwritable`"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn trust_clock(
    State(gate): State<Gate>,
    headers: HeaderMap,
    uri: Uri,
    State(sources): State<Sources>,
) -> Result<Json<ClockStatus>, Problem> {
    let authority = gate.admit_admin(&headers, Call::ClockTrust).await?;
    let request: TrustRequest = query::read(&uri)?;
    let trust = move || {
        request.check(&sources.report()?)?;
        let trusted = sources.reads.records.trust_clock(&sources.clock, authority.name())?;
        sources.registry.trust_clock();
        Ok::<_, Problem>(trusted)
    };
    let trusted = spawn_blocking(trust)
        .await
        .map_err(|_| Problem::new(Code::Internal, "the clock could not be followed"))??;
    trusted.map(Json).map_err(|error| {
        tracing::error!(%error, "trusted time cannot be saved");
        let detail = "the wall clock is followed now, but that could not be saved: after a restart it may not be; is the disk \
                      full?";
        Problem::new(Code::Internal, detail)
    })
}

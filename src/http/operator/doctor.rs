//! `GET /v1/doctor`: what is wrong with the deployment.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use tokio::task::spawn_blocking;

use super::{access::authorize, cluster::ClusterNode, counters::Counters};
use crate::{
    api::DoctorReport,
    doctor::Deployment,
    http::{
        problem::{Code, Problem},
        query::NoParameters,
    },
    operators::{Operators, Role},
    query_log::QueryLog,
};

/// Checks the deployment: file modes, keys, clock, space, open files, listeners, operators, delivery of codes, copies of the
/// log, and in a cluster etcd and the nodes. Each finding says what to do. It reads no record, so the audit log does not note it. One
/// check is under way at a time: others wait for it.
#[utoipa::path(
    get, path = "/v1/doctor", operation_id = "getDoctor", tag = "doctor",
    responses(
        (status = 200, description = "What is wrong; an empty list if nothing is", body = DoctorReport),
        (status = 400, description = "`request-invalid`: there is a parameter"),
    ),
    security(("operator" = ["reader"])),
)]
pub(super) async fn doctor(
    headers: HeaderMap,
    _: NoParameters,
    State(operators): State<Arc<Operators>>,
    State(deployment): State<Arc<Deployment>>,
    State(counters): State<Counters>,
    State(node): State<Option<ClusterNode>>,
    State(log): State<QueryLog>,
) -> Result<Json<DoctorReport>, Problem> {
    authorize(&headers, &operators, Role::Reader)?;
    // It goes along with the work, which goes on if the client goes away.
    let alone = deployment.alone().await;
    let unnamed_proxies = counters.proxies.unnamed_seen();
    let cluster = match node {
        Some(node) => Some(node.facts().await),
        None => None,
    };
    let check = move || {
        let _alone = alone;
        let copies = log.copy_figures();
        deployment.check(unnamed_proxies, cluster.as_ref(), copies.as_ref())
    };
    let report = spawn_blocking(check).await;
    report
        .map(Json)
        .map_err(|_| Problem::new(Code::Internal, "the deployment could not be checked"))
}

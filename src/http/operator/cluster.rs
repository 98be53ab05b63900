//! `/v1/cluster`: what the nodes of a cluster ask each other, and what operators see of them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use tokio::{task::spawn_blocking, time::Instant};
use zeroize::Zeroizing;

use super::{
    access::{Gate, authorize, authorize_node_at_any_hour},
    registry::{Snapshots, send_snapshot},
};
use crate::{
    api::{
        ClusterReport, ForgottenReport, HourKeysAnswer, HourKeysRequest, MemberReport, QuotaNews,
        QuotaReceipt, SharedKeys, read_json,
    },
    audit::{Call, Filters},
    cluster::{ClusterKeys, EngineMember, HourKeys, HourKeysError, KeyRows, Member, Peers},
    dispatch::Refusal,
    doctor::ClusterFacts,
    http::{
        body::read_json_text,
        problem::{Code, Problem},
        query::NoParameters,
    },
    limits,
    operators::{Operator, Operators, Role, operator_name},
    quota::{NotRestored, Quota},
    registry::{ChangeError, ClusterId, CopyFor, NodeId, Registry},
    shared_log::{
        Fence,
        etcd::{Etcd, Probed},
    },
};

/// A node of a cluster, as the calls of other nodes need it.
#[derive(Clone)]
pub struct ClusterNode {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Its number.
    pub node: NodeId,
    /// The keys of entries.
    pub keys: Arc<ClusterKeys>,
    /// The key that hashes codes.
    pub verification: Arc<Zeroizing<[u8; 32]>>,
    /// What is known of the other nodes.
    pub peers: Peers,
    /// The keys of hours.
    pub hour_keys: HourKeys,
    /// Where the shared log is.
    pub engine: Arc<Etcd>,
}

impl ClusterNode {
    /// What this node knows of its cluster, by asking etcd now.
    pub(super) async fn facts(&self) -> ClusterFacts {
        let engine = self.engine.examine().await;
        let unshared = self.hour_keys.unshared();
        ClusterFacts { nodes: self.peers.report(Vec::new()), engine, unshared }
    }

    /// The member whom this operator calls as.
    fn caller(&self, operator: &Operator) -> Result<Member, Problem> {
        let found =
            self.peers.members().into_iter().find(|it| operator_name(&it.name) == operator.name);
        let unknown =
            || Problem::new(Code::RequestInvalid, "no node of the cluster calls as this operator");
        found.ok_or_else(unknown)
    }
}

pub(super) fn in_no_cluster() -> Problem {
    let detail = "this server is in no cluster; `dispatchd cluster init` begins one";
    Problem::new(Code::RequestInvalid, detail)
}

/// Shows every node of the cluster: how far it has come, and whether it answers. It is the view of the node that is asked.
#[utoipa::path(
    get, path = "/v1/cluster", operation_id = "getCluster", tag = "cluster",
    responses(
        (status = 200, description = "The nodes", body = ClusterReport),
        (status = 400, description = "`request-invalid`: the server is in no cluster"),
    ),
    security(("operator" = ["admin"])),
)]
pub(super) async fn status(
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
) -> Result<Json<ClusterReport>, Problem> {
    authorize(&headers, &operators, Role::Admin)?;
    let node = node.ok_or_else(in_no_cluster)?;
    let engine = engine(&node.engine).await;
    Ok(Json(node.peers.report(engine)))
}

/// The etcd members, by asking them now.
async fn engine(etcd: &Etcd) -> Vec<EngineMember> {
    let (versions, silent) = match etcd.members_now().await {
        Ok(Probed { versions, silent, .. }) => (versions, silent),
        Err(error) => (Vec::new(), vec![("cluster.engine".to_owned(), error.to_string())]),
    };
    let answered = versions.into_iter().map(|(url, version)| (url, Some(version), None));
    let all = answered.chain(silent.into_iter().map(|(url, why)| (url, None, Some(why))));
    all.map(|(url, version, error)| EngineMember { url, version, error }).collect()
}

/// Tells another node how far this one has come, and what its clock shows. Each node asks all others each second. A token of any hour is good:
/// by this call a node finds out that its clock is wrong.
#[utoipa::path(
    get, path = "/v1/cluster/member", operation_id = "getMember", tag = "cluster",
    responses(
        (status = 200, description = "This node", body = MemberReport),
        (status = 400, description = "`request-invalid`: the server is in no cluster"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn member(
    State(operators): State<Arc<Operators>>,
    headers: HeaderMap,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
) -> Result<Json<MemberReport>, Problem> {
    authorize_node_at_any_hour(&headers, &operators)?;
    Ok(Json(node.ok_or_else(in_no_cluster)?.peers.own()))
}

/// Tells this node what another one charged to quotas. Each node tells all others each second, and at once what is much of an allowance.
/// Accounts and networks are numbers here. What this node records and measures does not show them.
#[utoipa::path(
    post, path = "/v1/cluster/quota", operation_id = "tellQuota", tag = "cluster",
    request_body = QuotaNews,
    responses(
        (status = 200, description = "It is counted", body = QuotaReceipt),
        (status = 400, description = "`request-invalid`: the server is in no cluster, or has no quotas"),
        (status = 503, description = "`registry-loading`: nothing is counted before the node knows what it had counted when it stopped"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn quota(
    State(operators): State<Arc<Operators>>,
    State(node): State<Option<ClusterNode>>,
    State(quota): State<Arc<Quota>>,
    _: NoParameters,
    request: Request,
) -> Result<Json<QuotaReceipt>, Problem> {
    let (Parts { headers, .. }, body) = request.into_parts();
    authorize(&headers, &operators, Role::Member)?;
    let peers = node.ok_or_else(in_no_cluster)?.peers;
    let body = read_json_text(&headers, body, limits::QUOTA_NEWS_BYTES_MAX).await?;
    let count = move || {
        let news = read_json::<QuotaNews>(&body)?;
        let no_quotas =
            || Problem::new(Code::RequestInvalid, "quota.enabled is false on this node");
        quota.sharing().ok_or_else(no_quotas)?;
        quota.receive(&news).map_err(|NotRestored| ChangeError::Loading)?;
        Ok(Json(QuotaReceipt { process: peers.process().to_owned() }))
    };
    let counted = spawn_blocking(count).await;
    counted.map_err(|_| Problem::new(Code::Internal, "the call failed"))?
}

/// Tells another node the keys of hours that it lacks, each sealed to a key that it made for this call. Each node asks all others each
/// second. Keys go out only while this node can tell that the caller has not been removed.
#[utoipa::path(
    post, path = "/v1/cluster/hour-keys", operation_id = "getHourKeys", tag = "cluster",
    request_body = HourKeysRequest,
    responses(
        (status = 200, description = "The keys", body = HourKeysAnswer),
        (status = 400, description = "`request-invalid`: the server is in no cluster; the calling node did not make the request; \
                                      it keeps its log for longer than this one"),
        (status = 503, description = "`registry-behind`, `registry-diverged`: there are keys for the caller, but this node cannot tell \
                                      whether it is still a member"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn hour_keys(
    State(operators): State<Arc<Operators>>,
    State(node): State<Option<ClusterNode>>,
    State(fence): State<Option<Fence>>,
    _: NoParameters,
    request: Request,
) -> Result<Response, Problem> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let caller = authorize(&headers, &operators, Role::Member)?;
    let node = node.ok_or_else(in_no_cluster)?;
    let body = read_json_text(&headers, body, limits::CLUSTER_HOUR_KEYS_BYTES_MAX).await?;
    let request = read_json::<HourKeysRequest>(&body)?;
    let refused = |error: HourKeysError| Problem::new(Code::RequestInvalid, error.to_string());
    let wanted = node.hour_keys.wanted(&node.caller(&caller)?, &request).map_err(refused)?;
    if !wanted.is_empty() {
        // Most calls give nothing, and need no round of the fence.
        if let Some(fence) = fence {
            fence.pass(Instant::now()).await.map_err(|it| Problem::from(Refusal::from(it)))?;
        }
        let caller = authorize(&headers, &operators, Role::Member)?;
        node.caller(&caller)?;
    }
    let answer = spawn_blocking(move || node.hour_keys.sealed(wanted)).await;
    let answer = answer.map_err(|_| Problem::new(Code::Internal, "the keys could not be read"))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Looks for keys, files and readable records on this machine that are older than the retention, for another node that was asked for all.
#[utoipa::path(
    get, path = "/v1/cluster/forgotten", operation_id = "proveForgottenHere", tag = "cluster",
    responses(
        (status = 200, description = "The report of this node alone", body = ForgottenReport),
        (status = 400, description = "`request-invalid`: the server is in no cluster"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn forgotten(
    State(gate): State<Gate>,
    headers: HeaderMap,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
) -> Result<Json<ForgottenReport>, Problem> {
    gate.admit(&headers, Role::Member)?;
    node.ok_or_else(in_no_cluster)?;
    let report = spawn_blocking(move || gate.records.forgotten()).await;
    let report = report.map_err(|_| Problem::new(Code::Internal, "reading failed"))?;
    Ok(Json(report?))
}

/// Sends the registry's store as it is at one moment, with the operators and its place in the shared log: a node begins with it. The audit
/// log notes the call.
#[utoipa::path(
    get, path = "/v1/cluster/snapshot", operation_id = "snapshotForMember", tag = "joining",
    responses(
        (status = 200, description = "The store", body = String, content_type = "application/octet-stream"),
        (status = 400, description = "`request-invalid`: the server is in no cluster"),
        (status = 503, description = "`overloaded`: as many snapshots are under way as the server bears, or as one node may; \
                                      `registry-unwritable`; `audit-unwritable`"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn snapshot(
    State(gate): State<Gate>,
    headers: HeaderMap,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
    State(registry): State<Arc<Registry>>,
    State(snapshots): State<Snapshots>,
) -> Result<Response, Problem> {
    let (_, authority) = gate.admit(&headers, Role::Member)?;
    node.ok_or_else(in_no_cluster)?;
    let call = (Call::ClusterSnapshot, CopyFor::Joiner);
    send_snapshot(gate, authority, call, registry, snapshots).await
}

/// Tells another node the secrets that all nodes share: the keys of entries, and the key that hashes codes. The audit log notes the call.
#[utoipa::path(
    get, path = "/v1/cluster/keys", operation_id = "getSharedKeys", tag = "joining",
    responses(
        (status = 200, description = "The keys", body = SharedKeys),
        (status = 400, description = "`request-invalid`: the server is in no cluster"),
        (status = 503, description = "`registry-behind`: this node does not have the newest key yet; `audit-unwritable`"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn keys(
    State(gate): State<Gate>,
    headers: HeaderMap,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
    State(registry): State<Arc<Registry>>,
) -> Result<Response, Problem> {
    let (_, authority) = gate.admit(&headers, Role::Member)?;
    let node = node.ok_or_else(in_no_cluster)?;
    let now = registry.rows_so_far().now();
    if node.keys.is_behind(&KeyRows::seen(&registry), now) {
        return Err(lacks_key());
    }
    let read = move || {
        gate.records.noted(authority.name(), Call::ClusterKeys, &Filters::none(), |_| {
            SharedKeys::new(&node.keys.reveal(), &node.verification)
        })
    };
    let keys = spawn_blocking(read).await;
    let keys = keys.map_err(|_| Problem::new(Code::Internal, "the keys could not be read"))??;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(keys)).into_response())
}

/// A key that was sealed to the members before another one joined is sealed to that one by nobody. It gets it here, once this node has it.
pub(super) fn lacks_key() -> Problem {
    let detail =
        "this node does not have the newest key of the shared log's entries yet; ask again";
    Problem::new(Code::RegistryBehind, detail)
}

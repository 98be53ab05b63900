//! `/v1/cluster`: what the nodes of a cluster ask each other, how one joins, and what operators see of them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, FromRequestParts, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::{
    access::{Gate, authorize},
    registry::{Snapshots, send_snapshot},
};
use crate::{
    api::{ClusterReport, JoinAnswer, JoinRequest, MemberReport, SharedKeys},
    audit::{Call, Filters},
    cluster::{ClusterKeys, EngineMember, Member, Peers, is_member_address, shown},
    http::{
        auth::bearer,
        body::JsonBody,
        problem::{Code, Problem},
        query::NoParameters,
    },
    ids,
    operators::{Operators, OperatorsError, Role, TokenHash, invited, is_node_name, take_invite},
    registry::{ChangeError, ClusterId, CopyFor, EntryKeys as _, NodeId, Registry, Rows},
    shared_log::etcd::{Etcd, Probed},
};

/// A node of a cluster, as the calls of other nodes need it.
#[derive(Clone)]
pub struct ClusterNode {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The keys of entries.
    pub keys: Arc<ClusterKeys>,
    /// The key that hashes codes.
    pub verification: Arc<Zeroizing<[u8; 32]>>,
    /// What is known of the other nodes.
    pub peers: Peers,
    /// Where the shared log is.
    pub engine: Arc<Etcd>,
}

fn in_no_cluster() -> Problem {
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

/// The members of the engine, by asking them now.
async fn engine(etcd: &Etcd) -> Vec<EngineMember> {
    let (versions, silent) = match etcd.members_now().await {
        Ok(Probed { versions, silent, .. }) => (versions, silent),
        Err(error) => (Vec::new(), vec![("cluster.engine".to_owned(), error.to_string())]),
    };
    let answered = versions.into_iter().map(|(url, version)| (url, Some(version), None));
    let all = answered.chain(silent.into_iter().map(|(url, why)| (url, None, Some(why))));
    all.map(|(url, version, error)| EngineMember { url, version, error }).collect()
}

/// Tells another node how far this one has come, and what its clock shows. Each node asks all others each second.
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
    authorize(&headers, &operators, Role::Member)?;
    Ok(Json(node.ok_or_else(in_no_cluster)?.peers.own()))
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
        (status = 503, description = "`audit-unwritable`"),
    ),
    security(("operator" = ["member"])),
)]
pub(super) async fn keys(
    State(gate): State<Gate>,
    headers: HeaderMap,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
) -> Result<Response, Problem> {
    let (_, authority) = gate.admit(&headers, Role::Member)?;
    let node = node.ok_or_else(in_no_cluster)?;
    let read = move || {
        gate.records.noted(authority.name(), Call::ClusterKeys, &Filters::none(), |_| {
            SharedKeys::new(&node.keys.reveal(), &node.verification)
        })
    };
    let keys = spawn_blocking(read).await;
    let keys = keys.map_err(|_| Problem::new(Code::Internal, "the keys could not be read"))??;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(keys)).into_response())
}

/// Somebody who has an invite. It is looked at before the body is read.
pub(super) struct Invited {
    token: TokenHash,
    node: String,
}

impl<S: Sync> FromRequestParts<S> for Invited
where
    Arc<Registry>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let registry: Arc<Registry> = FromRef::from_ref(state);
        let rows = registry.rows().map_err(|_| ChangeError::Loading)?;
        let token = bearer(&parts.headers).map(TokenHash::of).ok_or_else(not_invited)?;
        let node = invited(&rows, token).ok_or_else(not_invited)?.to_owned();
        Ok(Self { token, node })
    }
}

fn not_invited() -> Problem {
    let detail = "there is no such invite: it was used, or its hour is over; `dispatchd cluster invite NAME` on a member makes a token, \
                  which belongs into `Authorization: Bearer`";
    Problem::new(Code::TokenInvalid, detail)
}

/// Lets a node join with the token of an invite, which is used up then. The node is a member once this is answered. The audit log notes the
/// call.
#[utoipa::path(
    post, path = "/v1/cluster/join", operation_id = "joinCluster", tag = "joining",
    request_body = JoinRequest,
    responses(
        (status = 200, description = "The node is a member", body = JoinAnswer),
        (status = 400, description = "`request-invalid`: the server is in no cluster; there is a member of this name; the invite is for another name; \
                                      the node is too old"),
        (status = 401, description = "`token-invalid`: the invite was used, or its hour is over"),
        (status = 503, description = "`registry-loading`; `registry-unwritable`; `log-unwritable`; `audit-unwritable`; `overloaded`"),
    ),
    security(("invite" = [])),
)]
pub(super) async fn join(
    invited: Invited,
    State(gate): State<Gate>,
    _: NoParameters,
    State(node): State<Option<ClusterNode>>,
    State(registry): State<Arc<Registry>>,
    JsonBody(request): JsonBody<JoinRequest>,
) -> Result<Json<JoinAnswer>, Problem> {
    let node = node.ok_or_else(in_no_cluster)?;
    let joining = check(&invited, node.cluster, request)?;
    let Invited { token, node: name } = invited;
    let by = format!("invite:{name}");
    let note = move || gate.records.note(&by, Call::ClusterJoin, &Filters::none());
    let audited = spawn_blocking(note).await;
    let audited = audited.map_err(|_| Problem::new(Code::Internal, "the call failed"))??;
    let number = NodeId(ids::random_u64());
    let (cluster, keys) = (node.cluster, node.keys);
    let plan = move |rows: &mut Rows<'_>| {
        let found = take_invite(rows, token, joining.token_sha256)?;
        let name = found.ok_or(JoinError::Gone)?;
        let member = Member {
            name,
            node: number,
            address: joining.address.clone(),
            format: joining.format,
            joined_at: rows.now(),
            key: keys.newest().id(),
            receiving: joining.receiving,
        };
        member.put(rows);
        Ok::<_, JoinError>(())
    };
    match registry.change_rows(plan).await {
        Ok(()) => {
            audited.finish();
            Ok(Json(JoinAnswer { cluster: HEXLOWER.encode(&cluster.0), node: shown(number) }))
        }
        Err(error) => {
            let refused = Problem::from(error);
            audited.refuse(refused.code);
            Err(refused)
        }
    }
}

/// What a node that joins tells of itself.
struct Joining {
    address: String,
    token_sha256: TokenHash,
    format: u8,
    receiving: [u8; 32],
}

fn check(invited: &Invited, own: ClusterId, request: JoinRequest) -> Result<Joining, Problem> {
    let JoinRequest { name, address, token_sha256, format, receiving, cluster } = request;
    let invalid = |detail: String| Problem::new(Code::RequestInvalid, detail);
    if !is_node_name(&name) || name != invited.node {
        return Err(invalid("name: the invite is for a node of another name; set cluster.node to the name that was invited".to_owned()));
    }
    if !is_member_address(&address) {
        return Err(invalid(
            "address: it must be an origin, such as http://10.0.0.1:8081".to_owned(),
        ));
    }
    if cluster != HEXLOWER.encode(&own.0) {
        return Err(invalid("cluster: cluster.engine or cluster.prefix of the node that joins names the log of another cluster".to_owned()));
    }
    // The log may have entries of any format that a member writes.
    let least = crate::registry::EntryFormat::NEWEST as u8;
    if format < least {
        return Err(invalid(format!(
            "format: the cluster writes entries of format {least}; upgrade dispatchd on this node first"
        )));
    }
    let receiving = HEXLOWER.decode(receiving.as_bytes()).ok().and_then(|key| key.try_into().ok());
    let receiving = receiving
        .ok_or_else(|| invalid("receiving: it must be 32 bytes in hexadecimal".to_owned()))?;
    Ok(Joining { address, token_sha256, format, receiving })
}

/// Why a node does not become a member.
enum JoinError {
    /// The invite is used by now.
    Gone,
    Refused(OperatorsError),
    Change(ChangeError),
}

impl From<OperatorsError> for JoinError {
    fn from(error: OperatorsError) -> Self {
        Self::Refused(error)
    }
}

impl From<ChangeError> for JoinError {
    fn from(error: ChangeError) -> Self {
        Self::Change(error)
    }
}

impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Gone => not_invited(),
            JoinError::Change(error) => error.into(),
            JoinError::Refused(OperatorsError::Damaged) => {
                Self::new(Code::Internal, "the registry has an invite that cannot be read")
            }
            JoinError::Refused(error) => Self::new(Code::RequestInvalid, error.to_string()),
        }
    }
}

//! `POST /v1/cluster/join`: a node becomes a member.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, FromRequestParts, State},
    http::request::Parts,
};
use data_encoding::HEXLOWER;
use tokio::task::spawn_blocking;

use super::{
    access::Gate,
    cluster::{ClusterNode, in_no_cluster, lacks_key},
};
use crate::{
    api::{JoinAnswer, JoinRequest},
    audit::{Call, Filters},
    cluster::{KeyRows, Member, is_member_address, shown},
    http::{
        auth::bearer,
        body::JsonBody,
        problem::{Code, Problem},
        query::NoParameters,
    },
    ids,
    operators::{OperatorsError, TokenHash, invited, inviter, is_node_name, take_invite},
    registry::{ChangeError, ClusterId, EntryFormat, NodeId, NodePublicKey, Registry, Rows},
};

/// Somebody who has an invite. It is looked at before the body is read.
pub(super) struct Invited {
    token: TokenHash,
    node: String,
    /// The member that made the invite.
    by: Option<NodeId>,
}

impl<S: Sync> FromRequestParts<S> for Invited
where
    Arc<Registry>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let registry: Arc<Registry> = FromRef::from_ref(state);
        let rows = registry.rows().map_err(|_| ChangeError::Loading)?;
        let text = bearer(&parts.headers).ok_or_else(not_invited)?;
        let (token, by) = (TokenHash::of(text), inviter(text));
        let node = invited(&rows, token).ok_or_else(not_invited)?.to_owned();
        Ok(Self { token, node, by })
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
                                      another member made it; \
                                      the node is too old"),
        (status = 401, description = "`token-invalid`: the invite was used, or its hour is over"),
        (status = 503, description = "`registry-loading`; `registry-unwritable`; `log-unwritable`; `audit-unwritable`; `overloaded`; \
                                      `registry-behind`: the node does not have the newest key yet"),
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
    if invited.by != Some(node.node) {
        let detail = "another member made this invite: join at that one, or run `dispatchd cluster invite` on this one";
        return Err(Problem::new(Code::RequestInvalid, detail));
    }
    let joining = check(&invited, node.cluster, request)?;
    let Invited { token, node: name, .. } = invited;
    let by = format!("invite:{name}");
    let note = move || gate.records.note(&by, Call::ClusterJoin, &Filters::none());
    let audited = spawn_blocking(note).await;
    let audited = audited.map_err(|_| Problem::new(Code::Internal, "the call failed"))??;
    let number = NodeId(ids::random_u64());
    let keys = node.keys;
    let plan = move |rows: &mut Rows<'_>| {
        if keys.is_behind(&KeyRows::of(rows), rows.now()) {
            return Err(JoinError::Behind);
        }
        let found = take_invite(rows, token, &joining.public)?;
        let name = found.ok_or(JoinError::Gone)?;
        let member = Member {
            name,
            node: number,
            address: joining.address.clone(),
            format: joining.format,
            joined_at: rows.now(),
            key: keys.newest_number(),
            receiving: joining.receiving,
            public: joining.public,
        };
        member.put(rows);
        Ok::<_, JoinError>(())
    };
    match registry.change_rows(plan).await {
        Ok(()) => {
            audited.finish();
            Ok(Json(JoinAnswer { node: shown(number) }))
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
    format: u8,
    receiving: [u8; 32],
    public: NodePublicKey,
}

fn check(invited: &Invited, own: ClusterId, request: JoinRequest) -> Result<Joining, Problem> {
    let JoinRequest { name, address, public, format, receiving, cluster } = request;
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
    let least = EntryFormat::NEWEST as u8;
    if format < least {
        return Err(invalid(format!(
            "format: the cluster writes entries of format {least}; upgrade dispatchd on this node first"
        )));
    }
    let key = |field: &str, text: &str| {
        let key = HEXLOWER.decode(text.as_bytes()).ok().and_then(|key| key.try_into().ok());
        key.ok_or_else(|| invalid(format!("{field}: it must be 32 bytes in hexadecimal")))
    };
    let receiving = key("receiving", &receiving)?;
    let public = NodePublicKey(key("public", &public)?);
    if public.is_weak() {
        return Err(invalid("public: anybody could sign for this key".to_owned()));
    }
    Ok(Joining { address, format, receiving, public })
}

/// Why a node does not become a member.
enum JoinError {
    /// The invite is used by now.
    Gone,
    /// This node does not have the newest key of entries yet.
    Behind,
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
            JoinError::Behind => lacks_key(),
            JoinError::Change(error) => error.into(),
            JoinError::Refused(OperatorsError::Damaged) => {
                Self::new(Code::Internal, "the registry has an invite that cannot be read")
            }
            JoinError::Refused(error) => Self::new(Code::RequestInvalid, error.to_string()),
        }
    }
}

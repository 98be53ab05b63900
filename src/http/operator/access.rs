//! Who may use the operators' API.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, request::Parts},
};
use tokio::task::spawn_blocking;

use super::{authority::Authority, refused_calls::RefusedCalls};
use crate::{
    audit::{Call, Filters},
    cluster::ON_BEHALF,
    http::{
        auth::{Holder, bearer, token_invalid},
        problem::{Code, Problem},
    },
    operators::{Operator, Operators, OperatorsError, Role, asked_through},
    reading::Records,
    shared_log::Fence,
    shutdown::Shutdown,
};

const OTHER_HOUR: &str = "the node signed its token in another hour: its clock or the clock of this node is wrong; correct it";

/// Lets operators in.
#[derive(Clone)]
pub struct Gate {
    operators: Arc<Operators>,
    pub(super) records: Records,
    refused_calls: RefusedCalls,
    /// The fence before the calls, if other nodes change the list of operators, too.
    fence: Option<Fence>,
    shutdown: Shutdown,
    /// Whether a reader must name a case.
    pub(super) require_case: bool,
}

impl Gate {
    /// Lets `operators` in, and notes calls in the audit log of `records`. Long answers end if `fence` lets nobody pass. With `require_case`
    /// readers must name a case.
    pub fn new(
        operators: Arc<Operators>,
        records: Records,
        fence: Option<Fence>,
        shutdown: Shutdown,
        require_case: bool,
    ) -> Self {
        let refused_calls = RefusedCalls::default();
        Self { operators, records, refused_calls, fence, shutdown, require_case }
    }

    /// The operator whose token this is, if its role reaches `least`, and the authority that it has as long as it keeps both.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        least: Role,
    ) -> Result<(Role, Authority), Problem> {
        let operator = authorize(headers, &self.operators, least)?;
        Ok((operator.role, self.authority(operator)))
    }

    fn authority(&self, operator: Operator) -> Authority {
        let Self { operators, fence, shutdown, .. } = self.clone();
        Authority::new(operators, operator, fence, shutdown)
    }

    /// Whether the token is that of a node.
    pub(super) fn is_node(&self, headers: &HeaderMap) -> bool {
        authorize(headers, &self.operators, Role::Member).is_ok()
    }

    /// The operator for whom another node asks, if its role reaches `least`. The token is that of the node. The authority ends with that of
    /// either. The node is believed who asked it: it could read the name of every operator anyway. The audit log notes a refusal if it is
    /// one of the call `refused_as`.
    pub(super) async fn admit_through_node(
        &self,
        headers: &HeaderMap,
        least: Role,
        refused_as: Option<Call>,
    ) -> Result<(Role, Authority), Problem> {
        let node = authorize(headers, &self.operators, Role::Member)?;
        let name = headers.get(ON_BEHALF).and_then(|name| name.to_str().ok()).unwrap_or_default();
        let named = self.operators.named(name).map_err(|error| unreadable(&error))?;
        let operator = match named {
            Some(operator) if operator.role.reaches(least) => operator,
            named => {
                let code = Code::RoleInsufficient;
                if let Some((call, operator)) = refused_as.zip(named) {
                    self.note_refused(asked_through(&operator.name, &node.name), call, code).await;
                }
                let role = least.name();
                let detail =
                    format!("the operator for whom the node asks has no longer the role {role}");
                return Err(Problem::new(code, detail));
            }
        };
        Ok((operator.role, self.authority(operator).through(node, self.records.others())))
    }

    /// An admin, for a call whose refusals are noted: the audit log tells which operator tried it without the role, as often as
    /// [`RefusedCalls`] allows. A token that no operator has is not noted: everybody who reaches the listener could fill the disk.
    pub(super) async fn admit_admin(
        &self,
        headers: &HeaderMap,
        call: Call,
    ) -> Result<Authority, Problem> {
        let refused = match self.admit(headers, Role::Admin) {
            Ok((_, authority)) => return Ok(authority),
            Err(refused) if refused.code == Code::RoleInsufficient => refused,
            Err(refused) => return Err(refused),
        };
        if let Ok(operator) = authenticate(headers, &self.operators) {
            self.note_refused(operator.name, call, refused.code).await;
        }
        Err(refused)
    }

    async fn note_refused(&self, name: String, call: Call, code: Code) {
        if !self.refused_calls.is_due(&name, call, Instant::now()) {
            return;
        }
        let records = self.records.clone();
        let noted = spawn_blocking(move || {
            records.note(&name, call, &Filters::none()).map(|it| it.refuse(code))
        });
        if let Ok(Err(error)) = noted.await {
            tracing::error!(%error, "a refused call is not noted");
        }
    }
}

/// Whether the metrics need no token.
#[derive(Clone, Copy)]
pub struct MetricsOpen(pub bool);

/// Somebody who may read the metrics. A client that asks for handles and watches the counts would learn about those handles.
pub(super) struct Scraper;

impl<S: Sync> FromRequestParts<S> for Scraper
where
    Arc<Operators>: FromRef<S>,
    MetricsOpen: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The address proves nothing: a proxy on this machine makes every client one of this machine.
        if !MetricsOpen::from_ref(state).0 {
            authorize(&parts.headers, &Arc::from_ref(state), Role::Metrics)?;
        }
        Ok(Self)
    }
}

/// The operator whose token this is, if its role reaches `least`.
pub(super) fn authorize(
    headers: &HeaderMap,
    operators: &Operators,
    least: Role,
) -> Result<Operator, Problem> {
    reaching(authenticate(headers, operators)?, least)
}

/// The node whose token this is, of any hour.
pub(super) fn authorize_node_at_any_hour(
    headers: &HeaderMap,
    operators: &Operators,
) -> Result<Operator, Problem> {
    let token = bearer(headers).ok_or_else(|| token_invalid(headers, Holder::Operator))?;
    let found = operators.authenticate_at_any_hour(token).map_err(|error| unreadable(&error))?;
    reaching(found.ok_or_else(|| token_invalid(headers, Holder::Operator))?, Role::Member)
}

fn reaching(operator: Operator, least: Role) -> Result<Operator, Problem> {
    if operator.role.reaches(least) {
        return Ok(operator);
    }
    let role = least.name();
    let detail = match least {
        Role::Member => {
            "this call is for the nodes of the cluster, each with a token that it signs for the node it calls".to_owned()
        }
        _ => format!(
            "this call takes the role {role}; `dispatchd operator add NAME --role {role}` makes a token of it"
        ),
    };
    Err(Problem::new(Code::RoleInsufficient, detail))
}

/// The operator whose token this is.
fn authenticate(headers: &HeaderMap, operators: &Operators) -> Result<Operator, Problem> {
    let no_token = || token_invalid(headers, Holder::Operator);
    let token = bearer(headers).ok_or_else(no_token)?;
    if let Some(found) = operators.authenticate(token).map_err(|error| unreadable(&error))? {
        return Ok(found);
    }
    match operators.authenticate_at_any_hour(token).map_err(|error| unreadable(&error))? {
        Some(_) => Err(Problem::new(Code::TokenInvalid, OTHER_HOUR)),
        None => Err(no_token()),
    }
}

fn unreadable(error: &OperatorsError) -> Problem {
    tracing::error!(%error, "the list of operators cannot be read");
    Problem::new(Code::Internal, "the list of operators cannot be read")
}

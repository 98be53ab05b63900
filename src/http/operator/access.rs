//! Who may use the operators' API.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, request::Parts},
};

use crate::{
    http::{
        auth::{Holder, bearer, token_invalid},
        problem::{Code, Problem},
    },
    operators::{Operator, Operators, Role},
};

/// The name of an operator who may do everything.
pub(super) struct Admin(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Admin
where
    Arc<Operators>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        authorize(&parts.headers, &Arc::from_ref(state), Role::Admin).map(|it| Self(it.name))
    }
}

/// The operator whose token this is, if its role reaches `least`.
pub(super) fn authorize(
    headers: &HeaderMap,
    operators: &Operators,
    least: Role,
) -> Result<Operator, Problem> {
    let no_token = || token_invalid(headers, Holder::Operator);
    let token = bearer(headers).ok_or_else(no_token)?;
    let found = operators.authenticate(token).map_err(|error| {
        tracing::error!(%error, "the list of operators cannot be read");
        Problem::new(Code::Internal, "the list of operators cannot be read")
    })?;
    let operator = found.ok_or_else(no_token)?;
    if operator.role < least {
        let role = least.name();
        let detail = format!(
            "this call takes the role {role}; `dispatchd operator add NAME --role {role}` makes a token of it"
        );
        return Err(Problem::new(Code::RoleInsufficient, detail));
    }
    Ok(operator)
}

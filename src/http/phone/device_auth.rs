//! [`Device`]: authenticates a device by its token.

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};

use crate::{
    http::{
        auth::{Holder, bearer, token_invalid},
        problem::{Code, Problem},
    },
    registry::{Asker, ChangeError, Registry, TokenError},
};

/// The device whose token the request contains.
pub(super) struct Device(pub(super) Asker);

impl<S> FromRequestParts<S> for Device
where
    Arc<Registry>: FromRef<S>,
    S: Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let registry = Arc::<Registry>::from_ref(state);
        let invalid = || token_invalid(&parts.headers, Holder::Device);
        let token = bearer(&parts.headers).ok_or_else(invalid)?;
        registry.authenticate(token).map(Self).map_err(|error| match error {
            TokenError::Invalid => invalid(),
            TokenError::Loading(_) => ChangeError::Loading.into(),
        })
    }
}

/// The answer to a device that signed out while its request was under way.
pub(super) fn device_gone() -> Problem {
    Problem::new(Code::TokenInvalid, "the device has signed out; sign up again")
}

/// The answer about a handle that the device does not back.
pub(super) fn not_bound() -> Problem {
    Problem::new(Code::HandleNotBound, "GET /v1/devices/me lists the handles that it backs")
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let (code, detail) = match error {
            ChangeError::Loading => (Code::RegistryLoading, "the registry is being loaded"),
            ChangeError::Overloaded => (Code::Overloaded, "slow down and try again"),
            ChangeError::StoreUnwritable => {
                (Code::RegistryUnwritable, "no change is acknowledged that is not on disk")
            }
            ChangeError::LogUnwritable => {
                (Code::LogUnwritable, "no change is acknowledged that could not be recorded")
            }
            ChangeError::TooLarge => (Code::Overloaded, "the change is too large"),
            ChangeError::Held => {
                (Code::RegistryBehind, "this node must take no changes now; another one does")
            }
            ChangeError::Stopped => (Code::Overloaded, "the service is stopping"),
        };
        Self::new(code, detail)
    }
}

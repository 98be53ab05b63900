//! The phones' listener.

mod answer;
mod devices;
mod handles;
mod lookup;
mod verifications;

use std::sync::Arc;

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::bearer,
    edge::Service,
    fallback::with_fallbacks,
    health::{self, Health},
    problem::{Code, Problem},
    proxies::Proxies,
};
use crate::{
    clock::SharedClock,
    dispatch::Dispatch,
    quota::Quota,
    registry::{Asker, ChangeError, Registry, TokenError},
    verification::VerificationService,
};

/// What the phones' routes work with. Handlers take the part they need, so the lookup cannot reach registry writes.
#[derive(Clone, FromRef)]
pub struct PhoneState {
    /// Answers lookups.
    pub dispatch: Dispatch,
    /// Devices and handles.
    pub registry: Arc<Registry>,
    /// Verification codes.
    pub verifications: Arc<VerificationService>,
    /// Limits of sign-ups and changes.
    pub quota: Arc<Quota>,
    /// Readiness.
    pub health: Health,
    /// The time, for spans in answers.
    pub clock: SharedClock,
}

/// What answers phones, some of whom come through `proxies`.
pub fn service(state: PhoneState, proxies: Proxies) -> Service {
    let shortcut = lookup::Direct(state.dispatch.clone());
    let routes = with_fallbacks(described().split_for_parts().0).with_state(state);
    Service { routes, shortcut: Some(Arc::new(shortcut)), proxies }
}

/// The phones' routes with their description.
pub(super) fn described() -> OpenApiRouter<PhoneState> {
    OpenApiRouter::new()
        .routes(routes!(lookup::lookup))
        .routes(routes!(lookup::lookup_batch))
        .routes(routes!(devices::sign_up))
        .routes(routes!(devices::me, devices::sign_out))
        .routes(routes!(devices::check_in))
        .routes(routes!(devices::issue_link_code))
        .routes(routes!(handles::claim))
        .routes(routes!(handles::unbind, handles::set_discoverable))
        .routes(routes!(verifications::confirm))
        .routes(routes!(verifications::deregister))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

/// The device whose token the request carries.
pub(super) struct Device(pub(super) Asker);

impl<S> FromRequestParts<S> for Device
where
    Arc<Registry>: FromRef<S>,
    S: Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let registry = Arc::<Registry>::from_ref(state);
        let token = bearer(&parts.headers).ok_or_else(device_gone)?;
        registry.authenticate(token).map(Self).map_err(|error| match error {
            TokenError::Invalid => device_gone(),
            TokenError::Loading(_) => ChangeError::Loading.into(),
        })
    }
}

/// No device has this token, or no longer.
fn device_gone() -> Problem {
    Problem::new(Code::TokenInvalid, "send `Authorization: Bearer` and the device's token")
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
            ChangeError::Stopped => (Code::Overloaded, "the service is stopping"),
        };
        Self::new(code, detail)
    }
}

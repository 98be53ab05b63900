//! The phones' listener.

mod answer;
mod device_auth;
mod devices;
mod handles;
mod lookup;
mod verifications;

use std::{sync::Arc, time::Duration};

use axum::{Extension, extract::FromRef, routing::get};
use utoipa::openapi::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt as _},
    routes,
};

use super::{
    docs,
    fallbacks::{Paths, with_fallbacks},
    fence::FencedCalls,
    health,
    openapi::{self, Description},
    overload::Overload,
    proxies::Proxies,
    service::{Service, Shortcut},
    traffic::Traffic,
};
use crate::{
    clock::SharedClock, dispatch::Dispatch, query_log::QueryLog, quota::Quota, registry::Registry,
    shared_log::Fence, verification::VerificationService,
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
    /// The query log, for readiness.
    pub log: QueryLog,
    /// The time, for spans in answers.
    pub clock: SharedClock,
    /// The fence, if other nodes change the directory, too.
    pub fence: Option<Fence>,
}

/// Counts of the phones' listener, all zero.
pub fn traffic() -> Arc<Traffic> {
    Traffic::of(&description())
}

/// What answers phones, some of whom come through `proxies`. A thread that is late by `shed_after` sheds lookups, unless that is
/// zero. The other listener has the paths `operators`.
pub fn service(
    state: PhoneState,
    proxies: Proxies,
    shed_after: Duration,
    operators: Paths,
    traffic: Arc<Traffic>,
) -> Service {
    let shortcut = lookup::Direct(state.dispatch.clone());
    let overload = Overload::new(state.dispatch.clone(), shed_after);
    let overload = (!shed_after.is_zero()).then_some(overload);
    let fence = state.fence.clone();
    let fence = fence.map(|fence| FencedCalls::of_phones(fence, state.dispatch.clone()));
    let description = description();
    let own = Paths::of_phones(&description);
    let (routes, _) = router(Description::of_phones(description)).split_for_parts();
    let routes = routes.route("/v1/lookup/", get(lookup::lookup_nothing));
    let routes = with_fallbacks(routes, own, operators).with_state(state);
    let shortcut: Arc<dyn Shortcut> = Arc::new(shortcut);
    Service { routes, shortcut: Some(shortcut), proxies, hosts: None, overload, fence, traffic }
}

/// The description of the phones' routes.
pub(super) fn description() -> OpenApi {
    router(Description::default()).split_for_parts().1
}

/// The phones' routes. Only the route that serves `description` has it as a layer: a layer of all routes would cost each lookup
/// allocations.
fn router(description: Description) -> OpenApiRouter<PhoneState> {
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
        .routes(routes!(openapi::openapi).layer(Extension(description)))
        .routes(routes!(docs::page))
        .route("/docs/{file}", get(docs::file))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

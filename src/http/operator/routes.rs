//! The routes of the operators' listener.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::FromRef,
    routing::{any, get},
};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{Gate, MetricsOpen},
    clock,
    cluster::{self, ClusterNode},
    console,
    counters::Counters,
    defences::Defences,
    doctor, import, joining, log, metrics, quota,
    reads::Reads,
    registry::{self, Snapshots},
    states::States,
    tail,
};
use crate::{
    api::{Case, Scope},
    clock::{SharedClock, TrustedClock},
    doctor::Deployment,
    http::{
        docs,
        fallbacks::{Paths, with_fallbacks},
        fence::FencedCalls,
        health,
        host::Hosts,
        openapi::{self, Description},
        phone,
        proxies::Proxies,
        service::Service,
        traffic::Traffic,
    },
    import_jobs::ImportJobs,
    operators::Operators,
    query_log::{Kind, Order, QueryLog},
    quota::Quota,
    registry::Registry,
    shared_log::Fence,
    shutdown::Shutdown,
    timeline::Detail,
};

/// What the operators' routes work with.
#[derive(Clone, FromRef)]
pub struct OperatorState {
    /// Lets operators in.
    pub gate: Gate,
    /// Who may call.
    pub operators: Arc<Operators>,
    /// Whether the metrics are for everybody.
    pub metrics_open: MetricsOpen,
    /// Reads the query log and the audit log.
    pub reads: Reads,
    /// The directory.
    pub registry: Arc<Registry>,
    /// What accounts have left.
    pub quota: Arc<Quota>,
    /// Takes imports in.
    pub intake: Arc<ImportJobs>,
    /// Makes snapshots of the registry.
    pub snapshots: Snapshots,
    /// What became of calls, for metrics.
    pub counters: Counters,
    /// The service's parts, for metrics.
    pub states: States,
    /// The defence against abuse, for metrics.
    pub defences: Defences,
    /// The deployment, to find what is wrong with it.
    pub deployment: Arc<Deployment>,
    /// The query log, for whether it takes records.
    pub log: QueryLog,
    /// The present.
    pub clock: SharedClock,
    /// The same, to show and to correct it.
    pub trusted: Arc<TrustedClock>,
    /// The stop signals.
    pub shutdown: Shutdown,
    /// The fence, if other nodes change the directory, too.
    pub fence: Option<Fence>,
    /// This node, if it is one of a cluster.
    pub node: Option<ClusterNode>,
}

impl FromRef<OperatorState> for clock::Sources {
    fn from_ref(state: &OperatorState) -> Self {
        let OperatorState { trusted, reads, registry, .. } = state.clone();
        Self { clock: trusted, reads, registry }
    }
}

impl FromRef<OperatorState> for quota::Sources {
    fn from_ref(state: &OperatorState) -> Self {
        let OperatorState { registry, quota, reads, .. } = state.clone();
        Self { registry, quota, reads }
    }
}

/// What answers operators, on a listener that answers for `hosts`.
pub fn service(state: OperatorState, hosts: Hosts, traffic: Arc<Traffic>) -> Service {
    let fence = state.fence.clone().map(FencedCalls::of_operators);
    let (routes, proxies, hosts) = (routes(state), Proxies::default(), Some(hosts));
    Service { routes, shortcut: None, proxies, hosts, overload: None, fence, traffic }
}

/// The operators' routes.
fn routes(state: OperatorState) -> Router {
    let (router, described) = described().split_for_parts();
    let phones = phone::description();
    let (own, other) = (Paths::of_operators(&described), Paths::of_phones(&phones));
    let description = Extension(Description::of_both(phones, described));
    with_fallbacks(router.layer(description), own, other).with_state(state)
}

/// Counts of the operators' listener, all zero.
pub fn traffic() -> Arc<Traffic> {
    Traffic::of(&described().split_for_parts().1)
}

/// The operators' paths, for the phones' listener.
pub fn paths() -> Paths {
    Paths::of_operators(&described().split_for_parts().1)
}

/// The schemas that only parameters refer to: `utoipa` collects those of bodies.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(Case, Detail, Kind, Order, Scope)))]
struct OfParameters;

fn described() -> OpenApiRouter<OperatorState> {
    OpenApiRouter::with_openapi(OfParameters::openapi())
        .routes(routes!(log::search))
        .routes(routes!(log::search_by_body))
        .routes(routes!(tail::tail, tail::tail_by_body))
        .routes(routes!(log::export, log::export_by_body))
        .routes(routes!(log::flips))
        .routes(routes!(log::flip_parts))
        .routes(routes!(log::segments))
        .routes(routes!(log::verify))
        .routes(routes!(log::forgotten))
        .routes(routes!(log::list_readers))
        .routes(routes!(log::list_readers_by_body))
        .routes(routes!(log::verify_audit))
        .routes(routes!(log::timeline))
        .routes(routes!(log::timeline_by_body))
        .routes(routes!(registry::counts))
        .routes(routes!(import::import, import::progress))
        .routes(routes!(registry::snapshot))
        .routes(routes!(quota::show))
        .routes(routes!(quota::clear))
        .routes(routes!(clock::clock_status))
        .routes(routes!(clock::trust_clock))
        .routes(routes!(cluster::status))
        .routes(routes!(cluster::member))
        .routes(routes!(cluster::quota))
        .routes(routes!(cluster::hour_keys))
        .routes(routes!(cluster::forgotten))
        .routes(routes!(joining::join))
        .routes(routes!(cluster::snapshot))
        .routes(routes!(cluster::keys))
        .routes(routes!(doctor::doctor))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(docs::page))
        .route("/docs/{file}", get(docs::file))
        .routes(routes!(console::page))
        .route("/console", get(console::redirect))
        .route("/console/{*file}", get(console::file))
        .route("/", any(console::home))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

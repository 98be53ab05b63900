//! The routes of the operators' listener.

use std::sync::Arc;

use axum::{Extension, Router, extract::FromRef};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    clock,
    counters::Counters,
    import, log, metrics, openapi,
    reads::Reads,
    registry::{self, Snapshots},
    tail,
};
use crate::{
    clock::{SharedClock, TrustedClock},
    http::{health, phone, problem::with_fallbacks},
    import_jobs::ImportJobs,
    operators::Operators,
    query_log::QueryLog,
    registry::Registry,
    shutdown::Shutdown,
};

/// What the operators' routes work with.
#[derive(Clone, FromRef)]
pub struct OperatorState {
    /// Who may call.
    pub operators: Arc<Operators>,
    /// Reads the query log and the audit log.
    pub reads: Reads,
    /// The directory.
    pub registry: Arc<Registry>,
    /// Takes imports in.
    pub intake: Arc<ImportJobs>,
    /// Makes snapshots of the registry.
    pub snapshots: Snapshots,
    /// What became of the phones' calls.
    pub counters: Counters,
    /// The query log, for whether it takes records.
    pub log: QueryLog,
    /// The present.
    pub clock: SharedClock,
    /// The same, to show and to correct it.
    pub trusted: Arc<TrustedClock>,
    /// The stop signals.
    pub shutdown: Shutdown,
}

impl FromRef<OperatorState> for clock::Sources {
    fn from_ref(state: &OperatorState) -> Self {
        let OperatorState { trusted, reads, .. } = state.clone();
        Self { clock: trusted, reads }
    }
}

/// The operators' routes.
pub fn routes(state: OperatorState) -> Router {
    let (router, described) = described().split_for_parts();
    let phones = phone::described().split_for_parts().1;
    let description = Extension(openapi::describe(phones, described));
    with_fallbacks(router.layer(description)).with_state(state)
}

fn described() -> OpenApiRouter<OperatorState> {
    OpenApiRouter::new()
        .routes(routes!(log::search))
        .routes(routes!(tail::tail))
        .routes(routes!(log::export))
        .routes(routes!(log::flips))
        .routes(routes!(log::segments))
        .routes(routes!(log::verify))
        .routes(routes!(log::forgotten))
        .routes(routes!(log::list_readers))
        .routes(routes!(log::verify_audit))
        .routes(routes!(log::timeline))
        .routes(routes!(registry::counts))
        .routes(routes!(import::import, import::progress))
        .routes(routes!(registry::snapshot))
        .routes(routes!(clock::clock_status))
        .routes(routes!(clock::trust_clock))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_listeners_are_described_in_3_1() {
        let phones = phone::described().split_for_parts().1;
        let operators = described().split_for_parts().1;
        let description = openapi::describe(phones, operators);
        let described: serde_json::Value = serde_json::from_str(&description).unwrap();
        assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
        for (path, method) in [
            ("/v1/lookup/{handle}", "get"),
            ("/v1/lookup", "post"),
            ("/v1/devices", "post"),
            ("/v1/devices/me", "delete"),
            ("/v1/verifications/{verification}", "post"),
            ("/v1/log", "get"),
            ("/v1/log/tail", "get"),
            ("/v1/log/flips", "get"),
            ("/v1/log/segments", "get"),
            ("/v1/handles/{handle}/timeline", "get"),
            ("/v1/registry", "get"),
            ("/readyz", "get"),
        ] {
            assert!(described["paths"][path][method].is_object(), "{method} {path}");
        }
        let named = description.split("\"#/components/schemas/").skip(1);
        let schemas = &described["components"]["schemas"];
        let missing: Vec<_> = named
            .map(|rest| rest.split('"').next().unwrap())
            .filter(|name| !schemas[*name].is_object())
            .collect();
        assert!(missing.is_empty(), "{missing:?} have no description");
        let me = &described["paths"]["/v1/devices/me"]["get"]["responses"];
        assert!(me["401"]["content"]["application/problem+json"].is_object());
        let listed = &described["paths"]["/v1/audit"]["get"]["responses"];
        assert_eq!(listed["403"]["description"], "`role-insufficient`");
        assert_eq!(listed["503"]["description"], "`overloaded`, `audit-unwritable`");
        assert!(described["paths"]["/v1/log"]["get"]["responses"]["403"].is_null());
        let schemes = &described["components"]["securitySchemes"];
        assert_eq!(schemes["device"]["scheme"], "bearer");
        assert_eq!(schemes["operator"]["scheme"], "bearer");
    }
}

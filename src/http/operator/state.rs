//! What the operators' routes work with.

use std::sync::Arc;

use axum::extract::FromRef;

use super::{reads::Reads, snapshot::Snapshots};
use crate::{
    clock::SharedClock, dispatch::LookupCounts, http::health::Health, import_jobs::ImportJobs,
    operators::Operators, registry::Registry, shutdown::Shutdown,
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
    pub intake: ImportJobs,
    /// Makes snapshots of the registry.
    pub snapshots: Snapshots,
    /// What became of lookups.
    pub lookups: Arc<LookupCounts>,
    /// Whether the service can answer.
    pub health: Health,
    /// The present.
    pub clock: SharedClock,
    /// The stop signals.
    pub shutdown: Shutdown,
}

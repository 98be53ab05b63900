//! The operators' listener.

mod access;
mod audit;
mod export;
mod filter;
mod flips;
mod forgotten;
mod import;
mod lines;
mod log;
mod metrics;
mod openapi;
mod records;
mod registry;
mod snapshot;
mod tail;
mod timeline;

use std::sync::Arc;

use axum::{Router, extract::FromRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fallback::with_fallbacks,
    health::{self, Health},
    problem::{Code, Problem},
};
use crate::{
    clock::SharedClock,
    dispatch::{Dispatch, LookupCounts},
    import_jobs::ImportJobs,
    limits,
    operators::Operators,
    registry::Registry,
    shutdown::Shutdown,
};

pub use records::Records;
pub use snapshot::Snapshots;

/// What the operators' routes work with.
#[derive(Clone, FromRef)]
pub struct OperatorState {
    /// Who may call.
    pub operators: Arc<Operators>,
    /// The log, and who reads it.
    pub records: Records,
    /// The directory.
    pub registry: Arc<Registry>,
    /// Takes imports in.
    pub intake: ImportJobs,
    /// Makes snapshots of the registry.
    pub snapshots: Snapshots,
    /// What would be answered.
    pub dispatch: Dispatch,
    /// What became of lookups.
    pub lookups: Arc<LookupCounts>,
    /// Whether the service can answer.
    pub health: Health,
    /// The present.
    pub clock: SharedClock,
    /// The stop signals.
    pub shutdown: Shutdown,
    /// Permits for what reads the log.
    pub searches: Searches,
}

/// Permits for what reads the log. There are few of the first: each search reads on a thread of its own.
#[derive(Clone)]
pub struct Searches {
    searches: Arc<Semaphore>,
    tails: Arc<Semaphore>,
}

impl Default for Searches {
    fn default() -> Self {
        Self {
            searches: Arc::new(Semaphore::new(limits::LOG_SEARCHES_MAX)),
            tails: Arc::new(Semaphore::new(limits::LOG_TAILS_MAX)),
        }
    }
}

impl Searches {
    fn search(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.searches, "as many searches run as may run at once; try again soon")
    }

    fn tail(&self) -> Result<OwnedSemaphorePermit, Problem> {
        permit(&self.tails, "as many tails are followed as may be at once")
    }
}

fn permit(of: &Arc<Semaphore>, detail: &'static str) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(of).try_acquire_owned().map_err(|_| Problem::new(Code::Overloaded, detail))
}

/// The operators' routes.
pub fn routes(state: OperatorState) -> Router {
    with_fallbacks(described().split_for_parts().0).with_state(state)
}

/// The operators' routes with their description.
pub(super) fn described() -> OpenApiRouter<OperatorState> {
    OpenApiRouter::new()
        .routes(routes!(log::search))
        .routes(routes!(tail::tail))
        .routes(routes!(export::export))
        .routes(routes!(flips::flips))
        .routes(routes!(log::segments))
        .routes(routes!(log::verify))
        .routes(routes!(forgotten::forgotten))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(timeline::timeline))
        .routes(routes!(registry::counts))
        .routes(routes!(import::import, import::progress))
        .routes(routes!(snapshot::snapshot))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
}

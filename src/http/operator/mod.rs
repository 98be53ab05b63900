//! The operators' listener: extract, one call into [`reading`](crate::reading) or the registry, answer.

mod access;
mod audit;
mod import;
mod lines;
mod log;
mod metrics;
mod openapi;
mod parameters;
mod reads;
mod registry;
mod routes;
mod snapshot;
mod tail;
mod timeline;

pub use reads::Reads;
pub use routes::{OperatorState, routes};
pub use snapshot::Snapshots;

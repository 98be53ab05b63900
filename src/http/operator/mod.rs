//! The operators' listener: extract, one call into [`reading`](crate::reading) or the registry, answer.

mod access;
mod clock;
mod counters;
mod import;
mod lines;
mod log;
mod metrics;
mod reads;
mod registry;
mod routes;
mod tail;

pub use counters::Counters;
pub use reads::Reads;
pub use registry::Snapshots;
pub use routes::{OperatorState, paths, routes};

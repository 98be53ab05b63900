//! The operators' listener: extract, one call into [`reading`](crate::reading) or the registry, answer.

mod access;
mod authority;
mod clock;
mod cluster;
mod console;
mod counters;
mod defences;
mod doctor;
mod families;
mod import;
mod joining;
mod lines;
mod log;
mod members;
mod metrics;
mod places;
mod quota;
mod reads;
mod refused_calls;
mod registry;
mod routes;
mod states;
mod tail;
#[cfg(test)]
mod tests;

pub use access::{Gate, MetricsOpen};
pub use cluster::ClusterNode;
pub use counters::Counters;
pub use defences::Defences;
pub use reads::Reads;
pub use registry::Snapshots;
pub use routes::{OperatorState, paths, service, traffic};
pub use states::States;

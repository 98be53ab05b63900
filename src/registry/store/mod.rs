//! The durable side of the registry: accounts and what else must last, and the traits that a store of them implements.
//!
//! The index and the store apply the same [`Mutation`]s, so they cannot disagree: what is visible is what is durable.
//! The embedded store is [`redb::RedbStore`]; a clustered one comes behind the same traits.

#[cfg(feature = "testing")]
mod fuzz;
mod interface;
mod redb;
mod rows;
mod steps;
mod tables;

#[cfg(test)]
pub(super) mod tests;

#[cfg(feature = "testing")]
pub use fuzz::rows as fuzz_rows;
pub use interface::{CopyFor, StoreError, Unrecorded};

pub(super) use interface::{Applied, Identity, Mutation, Reader, Row, Store};
pub(super) use redb::{FillStep, RedbStore};
pub(super) use steps::{read_steps, write_steps};

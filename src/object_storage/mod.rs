//! Objects in a store that outlives this machine: S3, a store that speaks its protocol, or a directory of another machine.
//!
//! An object is created once and never overwritten. [`Objects::check_creation`] finds out whether the store keeps to that: some
//! stand-ins for S3 ignore the header `If-None-Match` and overwrite.
//!
//! Calls wait for the store, each for a limited time. Those that may take a minute end at a stop, too. They are for threads that may block, not for tasks of a runtime.

mod config;
mod credentials;
mod error;
#[cfg(test)]
pub(crate) mod faulty;
mod objects;

pub use config::Config;
pub use error::StoreError;
pub use objects::{Object, Objects, Stop};

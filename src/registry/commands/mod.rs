//! Commands: what a change asks for, evaluated into a plan.
//!
//! A command finds the accounts it concerns through the index, takes them from the store, and changes them in its
//! [`Plan`]. The writer makes plans durable, recorded and visible, in this order. A command first says what it
//! [`touches`](Operation::touches), so that the writer can put commands that do not meet into one commit.

mod context;
mod devices;
mod handles;
mod import;
mod imported;
mod operation;
mod plan;
mod touched;
mod upkeep;

pub use devices::{SignUp, SignedUp};
pub use imported::{ImportRecords, Imported};
pub use upkeep::Ticked;

pub(super) use context::{Context, unreadable};
pub(super) use devices::{CheckIn, SignOut};
pub(super) use handles::{Deregister, Prove, Rebind, SetDiscoverable, Unbind};
pub(super) use import::Import;
pub(super) use operation::{Job, Operation, QueuedCommand};
pub(super) use plan::Plan;
pub(super) use touched::Touched;
pub(super) use upkeep::choose;

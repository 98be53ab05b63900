//! Commands: each is one change to accounts and handles, and its record.
//!
//! A [`Registry`](super::Registry) method queues its command. The writer's thread calls the command's function, which
//! finds the accounts through the index, reads them from the store, and changes them in the batch's
//! [`Plan`](super::plan::Plan). The writer makes plans durable, recorded and visible, in this order.
//!
//! When the method returns `Ok`, the change is durable in the store, visible to lookups and committed to the log. A
//! call that is dropped half way may still happen.

mod devices;
mod flags;
mod handles;
mod import;
mod imported;
mod rows;
mod upkeep;

pub use devices::{SignUp, SignedUp};
pub use imported::{ImportRecords, Imported};
pub use upkeep::Ticked;

pub(super) use import::import;

//! Reads every segment with its key and reports what is wrong. [`forgotten`] checks that nothing older than the retention
//! exists.

mod chain;
mod check;
pub(crate) mod forgotten;

pub use chain::ChainReport;
pub use check::{KeyState, SegmentReport, VerifyReport};
pub(crate) use check::{verify, verify_segment};

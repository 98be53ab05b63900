//! Reads every segment with its key and reports what is wrong.
//!
//! | part | purpose |
//! | --- | --- |
//! | `report` | the report of a segment and of the log |
//! | `check` | checks every segment |
//! | `chain` | checks that no sealed segment was removed or replaced |
//! | [`forgotten`] | checks that nothing older than the retention exists |

mod chain;
mod check;
pub(crate) mod forgotten;
mod report;

pub use chain::ChainReport;
pub(crate) use check::verify;
pub use report::{KeyState, SegmentReport, VerifyReport};

//! Time: the only reader of the wall clock and of the boot clock.
//!
//! Everything that depends on time (retention, leases, codes, quotas) takes it from a [`Clock`], so that tests move it
//! instead of waiting. Hours are counted from the Unix epoch; no calendar and no time zone takes part in a decision.

#[cfg(any(test, feature = "testing"))]
mod manual;
pub mod span;
mod system;
mod timestamp;

#[cfg(any(test, feature = "testing"))]
pub use manual::ManualClock;
pub use system::{Clock, SharedClock, SystemClock};
pub use timestamp::{Hour, Timestamp, TimestampError};

//! Time: the only reader of the wall clock and of the boot clock.
//!
//! Everything that depends on time (retention, leases, codes, quotas) takes it from a [`Clock`], so that tests move it
//! instead of waiting. A server's clock is a [`TrustedClock`]: it does not follow a wall clock that somebody has set wrong. Hours
//! are counted from the Unix epoch; no calendar and no time zone takes part in a decision.

mod config;
mod eras;
mod machine;
#[cfg(any(test, feature = "testing"))]
mod manual;
mod rules;
mod saved;
pub mod span;
mod system;
mod timestamp;
mod trusted;

#[cfg(test)]
mod tests;

pub use config::{Config, Trust};
pub use machine::{Machine, SharedMachine, SystemClock};
#[cfg(any(test, feature = "testing"))]
pub use manual::ManualClock;
pub use saved::ClockFileError;
pub use system::{Clock, SharedClock};
pub use timestamp::{Era, Hour, Timestamp, TimestampError};
pub use trusted::{ClockStatus, TrustedClock};

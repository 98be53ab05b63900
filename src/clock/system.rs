//! The clock that everything takes time from, and the machine's.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::time::{ClockId, clock_gettime};

use super::timestamp::{Timestamp, micros};

/// Where time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time. May jump in either direction when somebody sets it.
    fn now(&self) -> Timestamp;

    /// Time since the machine started, sleep included. Never goes back and cannot be set.
    fn boot(&self) -> Duration;
}

/// A clock that several modules share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(micros(since_epoch))
    }

    fn boot(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(secs, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

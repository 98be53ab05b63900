//! Now, on two clocks.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// An instant on the steady clock and on the wall clock. The steady clock stands still while a phone sleeps, and people set the wall
/// clock. So a span has passed as soon as one of them says so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) steady: Instant,
    pub(crate) wall: SystemTime,
}

impl Now {
    #[expect(clippy::disallowed_methods, reason = "a clock of phones: the service has its own")]
    pub(crate) fn read() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How long ago `earlier` was, by the clock that went further.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let steady = self.steady.saturating_duration_since(earlier.steady);
        steady.max(self.wall.duration_since(earlier.wall).unwrap_or_default())
    }
}

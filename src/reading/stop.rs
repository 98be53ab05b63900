//! Whether anybody still waits for an answer.

use std::{fmt, sync::Arc};

/// Asked by reading now and then, whether or not it finds anything.
#[derive(Clone)]
pub struct Stop(Arc<dyn Fn() -> bool + Send + Sync>);

impl Stop {
    /// Reading stops once `has_come` says so.
    #[must_use]
    pub fn when(has_come: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(has_come))
    }

    /// Whether to stop.
    #[must_use]
    pub fn has_come(&self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop(…)")
    }
}

//! How many lookups ended how.

use crate::vocabulary::Reason;
use std::sync::atomic::{AtomicU64, Ordering};

/// One counter for each reason, by its number.
#[derive(Debug)]
pub struct LookupCounts([AtomicU64; 256]);

impl Default for LookupCounts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; 256])
    }
}

impl LookupCounts {
    pub(super) fn count(&self, reason: Reason) {
        self.0[usize::from(reason.number())].fetch_add(1, Ordering::Relaxed);
    }

    /// Handles asked for that ended this way, since the start.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        self.0[usize::from(reason.number())].load(Ordering::Relaxed)
    }
}

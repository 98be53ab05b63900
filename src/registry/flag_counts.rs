//! How many accounts were flagged and cleared, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::vocabulary::{Cause, ChangeKind};

use super::store::Unrecorded;

/// Numbers of causes are below this.
const CAUSES: usize = 64;

/// Flags that were set, by reason, and flags that were cleared, by cause. No reason for one is a cause of the other.
#[derive(Debug)]
pub(super) struct FlagCounts([AtomicU64; CAUSES]);

impl Default for FlagCounts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; CAUSES])
    }
}

impl FlagCounts {
    /// The causes of the changes of flags among `changes`.
    pub(super) fn causes(changes: &[Unrecorded]) -> Vec<Cause> {
        let changes = changes.iter().map(|row| &row.change);
        let of_flags = changes.filter(|change| {
            matches!(change.kind, ChangeKind::AccountFlagged | ChangeKind::AccountCleared)
        });
        of_flags.map(|change| change.cause).collect()
    }

    /// Counts changes of flags that became visible.
    pub(super) fn add(&self, causes: &[Cause]) {
        for cause in causes {
            self.0[usize::from(cause.number())].fetch_add(1, Relaxed);
        }
    }

    /// Changes of flags for this cause.
    pub(super) fn of(&self, cause: Cause) -> u64 {
        self.0[usize::from(cause.number())].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_cell_of_its_own() {
        let counts = FlagCounts::default();
        for cause in Cause::ALL {
            counts.add(&[*cause]);
            assert_eq!(counts.of(*cause), 1);
        }
    }
}

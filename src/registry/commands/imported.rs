//! What an import comes to, and how much of it is recorded.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits;

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Accounts that came in.
    pub accounts: u64,
    /// Devices that came in.
    pub devices: u64,
    /// Handles that came in.
    pub handles: u64,
    /// Of these, taken from an account that had proved them earlier.
    pub moved: u64,
    /// Accounts that stayed as they are here.
    pub accounts_kept: u64,
    /// Handles that did not come in, since another account here proved them later.
    pub handles_held: u64,
    /// Handles that did not come in, since they ended here later than they were proved.
    pub handles_ended: u64,
    /// Handles that did not come in, since nobody vouched for them for so long that how they ended may be forgotten.
    pub handles_stale: u64,
    /// Devices that did not come in, since they were silent for longer than devices are remembered.
    pub devices_silent: u64,
    /// Devices that did not come in, since another account here has them.
    pub devices_held: u64,
    /// Devices that did not come in, since an account may not have so many.
    pub devices_over_limit: u64,
    /// Devices that did not come in, since none of their account's handles did.
    pub devices_without_handle: u64,
}

impl Imported {
    /// Counts what another piece came to.
    pub fn add(&mut self, part: Self) {
        self.accounts += part.accounts;
        self.devices += part.devices;
        self.handles += part.handles;
        self.moved += part.moved;
        self.accounts_kept += part.accounts_kept;
        self.handles_held += part.handles_held;
        self.handles_ended += part.handles_ended;
        self.handles_stale += part.handles_stale;
        self.devices_silent += part.devices_silent;
        self.devices_held += part.devices_held;
        self.devices_over_limit += part.devices_over_limit;
        self.devices_without_handle += part.devices_without_handle;
    }

    /// Whether nothing came in or was here already, since everything was too old.
    pub const fn is_all_stale(&self) -> bool {
        let known = self.accounts
            + self.accounts_kept
            + self.handles_held
            + self.handles_ended
            + self.devices_held
            + self.devices_over_limit;
        known == 0 && self.devices_silent + self.handles_stale > 0
    }
}

/// How much of an import was recorded so far: carried from one of its pieces to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportRecords {
    changes: usize,
    is_summarised: bool,
}

impl ImportRecords {
    /// Whether `changes` more are recorded one by one.
    pub(crate) fn reserve(&mut self, changes: usize) -> bool {
        let fits =
            !self.is_summarised && self.changes + changes <= limits::IMPORT_CHANGES_RECORDED_MAX;
        self.changes += if fits { changes } else { 0 };
        fits
    }

    /// Whether the one record that stands for all others is due.
    pub(super) fn summarise(&mut self) -> bool {
        !std::mem::replace(&mut self.is_summarised, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_one_record_stands_for_all_others() {
        let mut records = ImportRecords::default();
        assert!(records.reserve(limits::IMPORT_CHANGES_RECORDED_MAX - 1));
        assert!(!records.reserve(2) && records.summarise());
        // A smaller one that would fit comes later: it is among the others.
        assert!(!records.reserve(1) && !records.summarise());
    }
}

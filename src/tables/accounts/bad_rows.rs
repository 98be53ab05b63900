//! Rows that cannot be taken: where, why and how many.

use std::collections::BinaryHeap;

use crate::handle::HandleError;

/// Why a row cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    /// More or fewer cells than the header has.
    #[error("it has not as many cells as the header")]
    CellCount,
    /// A cell is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// The handle is none, for the reason given by [`HandleError::reason`].
    #[error("its handle is not one: {0}")]
    Handle(&'static str),
    /// The account's id is empty or longer than 128 bytes.
    #[error("the account's id must have 1 to 128 bytes")]
    AccountId,
    /// The device's id is empty or longer than 128 bytes.
    #[error("the device's id must have 1 to 128 bytes")]
    DeviceId,
    /// Not one of the platforms.
    #[error("the platform is unknown")]
    Platform,
    /// The named time is not an instant, or there is none where one is required.
    #[error("{0} is not an RFC 3339 instant")]
    Time(&'static str),
    /// The named time lies more than a day ahead.
    #[error("{0} lies more than a day in the future")]
    Future(&'static str),
    /// Neither `true` nor `false`.
    #[error("discoverable is neither true nor false")]
    Discoverable,
    /// The device's name is longer than [`crate::limits::DEVICE_NAME_BYTES_MAX`].
    #[error("the device's name is too long")]
    NameLength,
    /// Not 32 hex digits.
    #[error("the token hash is not 32 hex digits")]
    TokenHash,
    /// Two different ids of the file became the same 64 bits.
    #[error("its id cannot be told from another id of the file; give one of them another id")]
    IdsMeet,
    /// An earlier row has the device in another account.
    #[error("the device is in another account, too")]
    DeviceElsewhere,
    /// An earlier row says something else of the device.
    #[error("an earlier row says something else of the same device")]
    DeviceDiffers,
    /// Another account has a newer proof of the handle, or one as new on an earlier line.
    #[error("another account has proved the handle later")]
    HandleElsewhere,
    /// An earlier row says something else of the account's claim on the handle.
    #[error("an earlier row says something else of the same handle")]
    ClaimDiffers,
    /// An earlier row has the same handle and device.
    #[error("an earlier row has the same handle and device")]
    Repeated,
    /// The account has as many devices as it may already.
    #[error("the account has too many devices")]
    TooManyDevices,
    /// The account has as many handles as it may already.
    #[error("the account has too many handles")]
    TooManyHandles,
}

impl From<HandleError> for Reason {
    fn from(error: HandleError) -> Self {
        Self::Handle(error.reason())
    }
}

/// One row that cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadRow {
    /// CSV: the line of the file on which it begins, the header being line 1. Parquet: its number, counted from 1.
    pub line: u64,
    /// Why.
    pub reason: Reason,
}

/// All rows that cannot be taken: counted, the first of them in full.
#[derive(Clone, Debug, Default)]
pub struct BadRows {
    total: u64,
    first: BinaryHeap<BadRow>,
}

impl BadRows {
    /// Rows kept in full.
    pub const FIRST: usize = 20;

    /// How many there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The first [`BadRows::FIRST`] by line.
    #[must_use]
    pub fn first(&self) -> Vec<BadRow> {
        let mut first: Vec<_> = self.first.iter().copied().collect();
        first.sort_unstable();
        first
    }

    pub(super) fn add(&mut self, line: u64, reason: Reason) {
        self.total += 1;
        self.first.push(BadRow { line, reason });
        if self.first.len() > Self::FIRST {
            self.first.pop();
        }
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        self.total += other.total - other.first.len() as u64;
        for row in &other.first {
            self.add(row.line, row.reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_by_line_are_kept_and_all_are_counted() {
        let mut one = BadRows::default();
        let mut other = BadRows::default();
        for line in (0..100).rev() {
            let bad = if line % 2 == 0 { &mut one } else { &mut other };
            bad.add(line, Reason::CellCount);
        }
        one.absorb(&other);
        assert_eq!(one.total(), 100);
        let lines: Vec<_> = one.first().iter().map(|row| row.line).collect();
        assert_eq!(lines, (0..20).collect::<Vec<_>>());
    }
}

//! Rows that cannot be imported: their lines, reasons and number.

use std::collections::BinaryHeap;

use crate::{handle::HandleError, vocabulary::Platform};

/// Why a row cannot be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Reason {
    /// The row has more or fewer cells than the header.
    #[error("the number of cells differs from the header")]
    CellCount,
    /// A cell is not UTF-8.
    #[error("a cell is not UTF-8; save the file as UTF-8 (CSV UTF-8)")]
    NotUtf8,
    /// The text is no handle; [`HandleError::reason`] returned the reason.
    #[error("the handle is invalid: {0}")]
    Handle(&'static str),
    /// The number has no calling code, and no region was given.
    #[error(
        "the handle is invalid: needs-region; write it with +, or name its country with --region"
    )]
    NeedsRegion,
    /// The account's id is empty or longer than 128 bytes.
    #[error("the account's id must have 1 to 128 bytes")]
    AccountId,
    /// The device's id is empty or longer than 128 bytes.
    #[error("the device's id must have 1 to 128 bytes")]
    DeviceId,
    /// The platform is not one of [`Platform::ALL`].
    #[error("the platform is not one of {}", platforms())]
    Platform,
    /// The named column is not an instant, or is empty although it is required.
    #[error("{0} is not an instant such as 2026-11-23T08:41:07Z (RFC 3339)")]
    Time(&'static str),
    /// The instant in the named column is more than a day in the future.
    #[error("{0} is more than a day in the future")]
    Future(&'static str),
    /// `discoverable` is neither `true` nor `false`.
    #[error("discoverable is neither true nor false")]
    Discoverable,
    /// The named column has a floating-point number.
    #[error("{0} is a floating-point number, which may have lost digits; write the column as text")]
    Float(&'static str),
    /// The handle or the id is a decimal number, such as `4.91512E+12`.
    #[error("the {0} looks like a spreadsheet changed it; write the column as text")]
    Decimal(&'static str),
    /// The digits may be a national number, or an international one whose plus sign was lost.
    #[error("the handle has two readings: write it with +")]
    TwoReadings,
    /// The device's name is longer than [`crate::limits::DEVICE_NAME_BYTES_MAX`].
    #[error("the device's name is too long")]
    NameLength,
    /// `token_hash` is not 32 hex digits.
    #[error("the token hash is not 32 hex digits")]
    TokenHash,
    /// Two different ids of the file have the same 64-bit hash.
    #[error("the id has the same hash as another id of the file; change one of them")]
    IdCollision,
    /// An earlier row has the device in another account.
    #[error("an earlier row has the device in another account")]
    DeviceElsewhere,
    /// An earlier row has other values for the device.
    #[error("an earlier row has other values for the same device")]
    DeviceDiffers,
    /// Another account has a newer proof of the handle, or an equally new one on an earlier line.
    #[error("another account has proved the handle later")]
    HandleElsewhere,
    /// An earlier row has other values for the account's claim on the handle.
    #[error("an earlier row has other values for the same handle")]
    ClaimDiffers,
    /// An earlier row has the same handle and device.
    #[error("an earlier row has the same handle and device")]
    Repeated,
    /// Earlier rows have as many devices as an account may have.
    #[error("the account has too many devices")]
    TooManyDevices,
    /// Earlier rows have as many handles as an account may have.
    #[error("the account has too many handles")]
    TooManyHandles,
}

fn platforms() -> String {
    let codes: Vec<_> = Platform::ALL.iter().map(|platform| platform.code()).collect();
    codes.join(", ")
}

impl From<HandleError> for Reason {
    fn from(error: HandleError) -> Self {
        match error {
            HandleError::NeedsRegion => Self::NeedsRegion,
            other => Self::Handle(other.reason()),
        }
    }
}

/// One row that cannot be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadRow {
    /// CSV: the line on which the row begins; the header is line 1. Parquet: the number of the row, counted from 1.
    pub line: u64,
    /// Why the row cannot be imported.
    pub reason: Reason,
}

/// All rows that cannot be imported: their number, and the first of them.
#[derive(Clone, Debug, Default)]
pub struct BadRows {
    total: u64,
    first: BinaryHeap<BadRow>,
}

impl BadRows {
    /// Rows that are kept.
    pub const FIRST: usize = 20;

    /// The number of all bad rows.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The first [`BadRows::FIRST`] bad rows by line.
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

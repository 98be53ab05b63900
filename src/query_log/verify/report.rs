//! The report of a segment and of the log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chain::ChainReport;
use crate::query_log::catalog::{Segment, SegmentState};

/// Whether the keyring has a segment's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It has.
    Alive,
    /// It has not, and the hour has expired.
    Destroyed,
    /// It has not, although the hour has not expired.
    #[default]
    Missing,
}

/// The report of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentReport {
    /// Its name.
    pub segment: String,
    /// Its state.
    pub state: SegmentState,
    /// The state of its key.
    pub key: KeyState,
    /// Frames with a valid checksum; of a sealed segment, chunks that decrypt.
    pub frames: u64,
    /// Records in frames that decrypt.
    pub records: u64,
    /// Damaged places with whole frames after them; of a sealed segment, chunks that do not decrypt.
    pub damaged: u64,
    /// Damaged chunks of a sealed segment that its parity rebuilds without loss.
    pub rebuilt: u64,
    /// Whole frames that do not decrypt, or whose content does not match their header. Of a sealed segment, 1 if its Merkle
    /// root is not the root of its chunks and their parity.
    pub forged: u64,
    /// Records of a sealed segment that cannot be read, by its own count.
    pub lost_records: u64,
    /// Places where frames are missing.
    pub gaps: u64,
    /// Bytes after the last whole frame.
    pub torn_bytes: u64,
    /// Records that are not later than their predecessor.
    pub out_of_order: u64,
    /// It has expired and still exists.
    pub overdue: bool,
    /// It could not be read to its end.
    pub unreadable: bool,
    /// SHA-256 over name, Merkle root and counts of a sealed segment, in hexadecimal. The next sealed segment names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether nothing is wrong. A torn tail is not: its records were never acknowledged.
    pub sound: bool,
}

/// The report of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Whether nothing is wrong with any segment or the chain.
    pub sound: bool,
    /// The chain of the sealed segments.
    pub chain: ChainReport,
    /// Each segment, oldest first.
    pub segments: Vec<SegmentReport>,
}

impl SegmentReport {
    pub(super) fn new(segment: &Segment, key: KeyState, overdue: bool) -> Self {
        let (name, state) = (segment.id.to_string(), segment.state());
        Self { segment: name, state, key, overdue, ..Self::default() }
    }

    /// Sets `sound` from the other fields.
    pub(super) fn judge(&mut self) {
        self.sound = self.damaged == 0
            && self.forged == 0
            && self.gaps == 0
            && self.lost_records == 0
            && self.out_of_order == 0
            && !self.overdue
            && !self.unreadable
            && self.key == KeyState::Alive;
    }
}

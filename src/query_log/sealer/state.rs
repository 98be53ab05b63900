//! What the sealer of one log remembers between rounds, and the report of a round.

use std::collections::HashSet;

use super::sealed_file::ChainTip;
use crate::query_log::{segment_error::SealError, segment_name::SegmentId};

#[derive(Debug, Default)]
pub(crate) struct SealerState {
    /// The segment sealed last; the next sealed file names it.
    pub(super) tip: Option<ChainTip>,
    /// Segments that cannot be sealed because something is wrong with them.
    pub(super) refused: HashSet<SegmentId>,
}

impl SealerState {
    pub(crate) fn new(tip: Option<ChainTip>) -> Self {
        Self { tip, refused: HashSet::new() }
    }
}

/// What one round of sealing did.
#[derive(Debug, Default)]
pub struct SealOutcome {
    /// Segments sealed.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// Bytes of their frames.
    pub bytes_before: u64,
    /// Bytes of their sealed files.
    pub bytes_after: u64,
    /// Segments that stay as they are until the disk has more space.
    pub waiting: usize,
    /// Segments that could not be sealed. After an I/O error the next round tries again; otherwise the segment stays.
    pub failed: Vec<(SegmentId, SealError)>,
}

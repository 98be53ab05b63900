//! What the sealer of one log remembers between rounds.

use std::collections::HashSet;

use super::sealed_file::ChainTip;
use crate::query_log::segment_name::SegmentId;

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

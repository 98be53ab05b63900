//! What a search could not read.

use std::io;

use crate::{
    clock::Timestamp,
    query_log::{segment_error::SegmentError, segment_name::SegmentId},
};

/// An I/O error in a segment. The search continues with the other segments.
#[derive(Debug, thiserror::Error)]
#[error("segment {segment}: {source}")]
pub struct ReadError {
    /// The segment.
    pub segment: SegmentId,
    /// The error of the operating system.
    pub source: io::Error,
}

/// What a search could not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchOutcome {
    /// Damaged places that the search skipped: each damaged frame, or 1 for each damaged sealed segment.
    pub damaged: u64,
    /// Unexpired segments of which the search could read nothing.
    pub unreadable_segments: u64,
}

impl SearchOutcome {
    /// Counts a segment that cannot be read. An expired segment is no loss, an I/O error is the caller's to report.
    pub(super) fn count(
        &mut self,
        segment: SegmentId,
        error: SegmentError,
        horizon: Timestamp,
    ) -> Result<(), ReadError> {
        match error {
            SegmentError::Gone => {}
            SegmentError::NoKey => {
                self.unreadable_segments += u64::from(segment.hour.end() > horizon);
            }
            SegmentError::Unreadable => self.unreadable_segments += 1,
            SegmentError::Io(source) => return Err(ReadError { segment, source }),
        }
        Ok(())
    }
}

//! What one round of sealing did, and why it did not seal a segment.

use std::io;

use crate::query_log::{segment::WriteError, segment_error::SegmentError, segment_name::SegmentId};

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
    /// Segments that could not be sealed. After an I/O error the next round tries again; otherwise the segment stays.
    pub failed: Vec<(SegmentId, SealError)>,
}

/// Why a segment is not sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A frame is damaged. The segment keeps its frames.
    #[error("a frame is damaged; the segment keeps its frames")]
    Damaged,
    /// The sealed file does not hold what the frames hold. The segment keeps its frames.
    #[error("the sealed file differs from the frames: {0}")]
    Differs(&'static str),
    /// Its key is gone.
    #[error("its hour has expired")]
    Expired,
    /// The caller asked the sealer to stop.
    #[error("interrupted")]
    Stopped,
}

impl From<WriteError<Self>> for SealError {
    fn from(error: WriteError<Self>) -> Self {
        match error {
            WriteError::Source(error) => error,
            WriteError::Sink(error) => Self::Io(error),
            WriteError::Stopped => Self::Stopped,
            WriteError::OutOfOrder | WriteError::OtherHour => Self::Damaged,
            WriteError::Parquet(_) => Self::Differs("its rows do not fit the format"),
            WriteError::Changed => Self::Differs("the frames changed while they were read"),
        }
    }
}

impl From<SegmentError> for SealError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Io(error) => Self::Io(error),
            SegmentError::NoKey => Self::Expired,
            SegmentError::Gone | SegmentError::Unreadable => Self::Differs("it cannot be read"),
        }
    }
}

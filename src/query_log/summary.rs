//! What an operator sees of a segment.

use serde::Serialize;

use super::{catalog::SegmentState, retention, search::Sources};
use crate::clock::Timestamp;

/// One segment of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentSummary {
    /// Its name.
    pub segment: String,
    /// What state it is in.
    pub state: SegmentState,
    /// No record in it is older.
    pub from: Timestamp,
    /// Every record in it is older.
    pub until: Timestamp,
    /// Records in it.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When its key is destroyed.
    pub expires_at: Timestamp,
}

pub(super) fn summarise(sources: &Sources) -> Vec<SegmentSummary> {
    let (hours, now) = (sources.keyring.hours(), sources.clock.now());
    let summary = |segment: std::sync::Arc<super::catalog::Segment>| {
        let hour = segment.id.hour;
        SegmentSummary {
            segment: segment.id.to_string(),
            state: segment.state(),
            from: hour.start(),
            until: hour.end(),
            records: segment.records(),
            bytes: segment.bytes(),
            expires_at: retention::expiry(hour, hours.get(&hour).copied(), sources.retention, now),
        }
    };
    sources.catalog.segments().into_iter().map(summary).collect()
}

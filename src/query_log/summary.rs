//! The operator's view of a segment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{catalog::SegmentState, retention, search::Sources};
use crate::clock::Timestamp;

/// One segment of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SegmentSummary {
    /// The hour (since the Unix epoch), and the number of the file within the hour.
    pub segment: String,
    /// Its state.
    pub state: SegmentState,
    /// Its records are at or after this instant.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Its records are before this instant.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Records in it.
    pub records: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When retention destroys its key.
    #[schema(value_type = String, format = DateTime)]
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

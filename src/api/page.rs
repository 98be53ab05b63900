//! A page of records, as `GET /v1/log` gives it to who wants JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::query_log::LogRow;

/// A page of records.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Page {
    /// The records, in the order asked for.
    pub records: Vec<LogRow>,
    /// Pass it as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// Damaged places that were skipped; absent if none. `/v1/log/verify` says where.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// Segments that could not be read; absent if none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable_segments: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference over")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

//! `dispatchd log segments`.

use std::io::{Write as _, stdout};

use super::bar;
use crate::{
    api::SegmentsRequest,
    cli::{
        reading::Reading,
        table::{cell, table},
    },
    clock::{Clock as _, SystemClock},
    query_log::SegmentSummary,
};

pub(super) fn run(command: &Reading<SegmentsRequest>) -> anyhow::Result<()> {
    let segments = command.source.answer(&command.request)?;
    let mut out = stdout().lock();
    if command.json {
        for segment in &segments {
            writeln!(out, "{}", serde_json::to_string(segment)?)?;
        }
        return Ok(());
    }
    let header = ["segment", "state", "from", "records", "bytes", "expires_at"];
    let row = |it: &SegmentSummary| {
        let (records, bytes) = (it.records.to_string(), it.bytes.to_string());
        let (from, expires_at) = (it.from.to_string(), it.expires_at.to_string());
        [it.segment.clone(), cell(&it.state), from, records, bytes, expires_at]
    };
    let rows: Vec<_> = segments.iter().map(row).collect();
    write!(out, "{}{}", table(header, &rows), bar::of(&segments, SystemClock.now()))?;
    Ok(())
}

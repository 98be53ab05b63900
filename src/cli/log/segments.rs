//! `dispatchd log segments`.

use std::io::{Write as _, stdout};

use super::bar;
use crate::{
    api::SegmentsRequest,
    cli::{
        source::Reading,
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
    let row = |it: &SegmentSummary| {
        let (from, expires_at) = (cell(it.from), cell(it.expires_at));
        vec![it.segment.clone(), cell(it.state), from, cell(it.records), cell(it.bytes), expires_at]
    };
    let table = table("segment state from records bytes expires_at", segments.iter().map(row));
    write!(out, "{table}{}", bar::of(&segments, SystemClock.now()))?;
    Ok(())
}

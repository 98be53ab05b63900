//! `dispatchd log verify`.

use std::io::{Write as _, stdout};

use anyhow::bail;

use crate::{
    api::VerifyRequest,
    cli::{
        source::Reading,
        table::{cell, table},
    },
    query_log::{ChainReport, SegmentReport},
};

pub(super) fn run(command: &Reading<VerifyRequest>) -> anyhow::Result<()> {
    let report = command.source.answer(&command.request)?;
    let mut out = stdout().lock();
    if command.json {
        for segment in &report.segments {
            writeln!(out, "{}", serde_json::to_string(segment)?)?;
        }
    } else {
        write!(out, "{}", segments(&report.segments))?;
    }
    out.flush()?;
    print_chain(&report.chain);
    if !report.sound {
        bail!("the log is not sound");
    }
    eprintln!("dispatchd: the log is sound");
    Ok(())
}

fn segments(reports: &[SegmentReport]) -> String {
    let header = "segment state key records damaged rebuilt forged gaps lost_records torn_bytes \
                  out_of_order overdue sound";
    let row = |it: &SegmentReport| {
        let counts = [it.records, it.damaged, it.rebuilt, it.forged, it.gaps, it.lost_records];
        let head = [it.segment.clone(), cell(it.state), cell(it.key)];
        let tail = [cell(it.torn_bytes), cell(it.out_of_order), cell(it.overdue), cell(it.sound)];
        head.into_iter().chain(counts.map(cell)).chain(tail).collect()
    };
    table(header, reports.iter().map(row))
}

/// Says which sealed segments are missing or replaced, and what to store to find out later.
fn print_chain(chain: &ChainReport) {
    let faults = [
        (&chain.missing, "is missing: another names it, and it has not expired"),
        (&chain.replaced, "was replaced: another names different content"),
        (&chain.loose, "has lost its neighbour: something sealed before or after it is missing"),
    ];
    for (segments, fault) in faults {
        for segment in segments {
            eprintln!("dispatchd: segment {segment} {fault}");
        }
    }
    if let Some(head) = &chain.head {
        eprintln!("dispatchd: the chain of sealed segments ends with {head}");
    }
}

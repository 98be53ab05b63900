//! `dispatchd log verify`.

use anyhow::bail;

use crate::{
    api::{SegmentReport, VerifyRequest},
    cli::note::note,
    cli::{
        output::{TableRow, print_rows},
        source::Reading,
    },
    query_log::ChainReport,
};

pub(super) fn run(command: &Reading<VerifyRequest>) -> anyhow::Result<()> {
    let report = command.source.answer(&command.request)?;
    let printed = print_rows(command.json, &report.segments);
    print_chain(&report.chain);
    // First, so that a closed pipe does not turn the verdict into success.
    if !report.sound {
        bail!("the log is not sound");
    }
    printed?;
    note!("dispatchd: the log is sound");
    Ok(())
}

impl TableRow for SegmentReport {
    const COLUMNS: &'static [(&'static str, usize)] = &[
        ("SEGMENT", 0),
        ("STATE", 0),
        ("KEY", 0),
        ("RECORDS", 0),
        ("DAMAGED", 0),
        ("REBUILT", 0),
        ("FORGED", 0),
        ("GAPS", 0),
        ("LOST_RECORDS", 0),
        ("TORN_BYTES", 0),
        ("OUT_OF_ORDER", 0),
        ("OVERDUE", 0),
        ("SOUND", 0),
    ];

    fn cells(&self) -> Vec<String> {
        let counts = [
            self.records,
            self.damaged,
            self.rebuilt,
            self.forged,
            self.gaps,
            self.lost_records,
            self.torn_bytes,
            self.out_of_order,
        ];
        let mut cells = vec![self.segment.clone(), self.state.to_string(), self.key.to_string()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.extend([self.overdue, self.sound].map(|is_so| is_so.to_string()));
        cells
    }
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
            note!("dispatchd: segment {segment} {fault}");
        }
    }
    if let Some(head) = &chain.head {
        note!("dispatchd: the chain of sealed segments ends with {head}");
    }
}

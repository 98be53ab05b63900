//! `dispatchd log verify`.

use crate::{
    api::{OfNode, SegmentReport, VerifyRequest},
    cli::note::{check_each, note},
    cli::output::{Column, TableRow, Tabular, print_rows},
    query_log::ChainReport,
};

pub(super) fn run(command: &Tabular<VerifyRequest>) -> anyhow::Result<()> {
    let report = command.reading.source.answer(&command.reading.request)?;
    let of_nodes = report.reports();
    let rows = of_nodes.iter().flat_map(|(node, report)| {
        report.segments.iter().map(|segment| OfNode::new(segment.clone(), *node))
    });
    let printed = print_rows(command.form(), &rows.collect::<Vec<_>>());
    of_nodes.iter().for_each(|(node, report)| print_chain(*node, &report.chain));
    // First, so that a closed pipe does not turn the verdict into success.
    check_each("the log", &report.unsound(), &report.missing(), report.own.sound)?;
    printed?;
    note!("dispatchd: the log is sound");
    Ok(())
}

impl TableRow for SegmentReport {
    const COLUMNS: &'static [Column] =
        &[("SEGMENT", 0), ("STATE", 0), ("KEY", 0), ("RECORDS", 0), ("SOUND", 0), ("FAULTS", 0)];
    const WIDE: &'static [Column] = &[
        ("SEGMENT", 0),
        ("STATE", 0),
        ("KEY", 0),
        ("RECORDS", 0),
        ("SOUND", 0),
        ("DAMAGED", 0),
        ("REBUILT", 0),
        ("FORGED", 0),
        ("GAPS", 0),
        ("LOST_RECORDS", 0),
        ("TORN_BYTES", 0),
        ("OUT_OF_ORDER", 0),
        ("OVERDUE", 0),
        ("UNREADABLE", 0),
    ];

    fn cells(&self, wide: bool) -> Vec<String> {
        let Self { segment, state, key, records, sound, overdue, unreadable, .. } = self;
        let mut cells = vec![segment.clone(), state.to_string(), key.to_string()];
        cells.extend([records.to_string(), sound.to_string()]);
        if wide {
            cells.extend(counts(self).map(|(_, count)| count.to_string()));
            cells.extend([overdue, unreadable].map(ToString::to_string));
            return cells;
        }
        let counts = counts(self).into_iter().filter(|(_, count)| *count > 0);
        let counts = counts.map(|(name, count)| format!("{name} {count}"));
        let states = [("overdue", *overdue), ("unreadable", *unreadable)];
        let states =
            states.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name.to_owned());
        let faults: Vec<_> = states.chain(counts).collect();
        cells.push(if faults.is_empty() { "-".to_owned() } else { faults.join(", ") });
        cells
    }
}

/// Everything that is counted besides records. What is rebuilt, torn or out of order does not make a segment unsound.
fn counts(report: &SegmentReport) -> [(&'static str, u64); 7] {
    [
        ("damaged", report.damaged),
        ("rebuilt", report.rebuilt),
        ("forged", report.forged),
        ("gaps", report.gaps),
        ("lost-records", report.lost_records),
        ("torn-bytes", report.torn_bytes),
        ("out-of-order", report.out_of_order),
    ]
}

/// Says which sealed segments are missing or replaced, and what to store to find out later.
fn print_chain(node: Option<&str>, chain: &ChainReport) {
    let of_node = node.map_or_else(String::new, |node| format!(" of the node {node}"));
    let faults = [
        (&chain.missing, "is missing: another names it, and it has not expired"),
        (&chain.replaced, "was replaced: another names different content"),
        (&chain.loose, "has lost its neighbour: something sealed before or after it is missing"),
    ];
    for (segments, fault) in faults {
        for segment in segments {
            note!("dispatchd: segment {segment}{of_node} {fault}");
        }
    }
    if let Some(head) = &chain.head {
        note!("dispatchd: the chain of sealed segments{of_node} ends with {head}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::table;

    #[test]
    fn only_faults_that_there_are_take_room() {
        let well = SegmentReport {
            segment: "0000495368-000000".into(),
            records: 1_000_000,
            sound: true,
            ..SegmentReport::default()
        };
        let ill = SegmentReport {
            sound: false,
            unreadable: true,
            damaged: 2,
            lost_records: 4_096,
            ..well.clone()
        };
        let golden = "\
SEGMENT            STATE       KEY      RECORDS  SOUND  FAULTS
0000495368-000000  unreadable  missing  1000000  true   -
0000495368-000000  unreadable  missing  1000000  false  unreadable, damaged 2, lost-records 4096
";
        assert_eq!(table(&[well.clone(), ill.clone()], false, None), golden);
        let at_80 = table(&[well, ill], false, Some(80));
        assert!(at_80.lines().all(|line| line.chars().count() <= 80), "{at_80}");
        assert!(at_80.lines().nth(2).is_some_and(|line| line.ends_with('…')), "{at_80}");
    }
}

//! `dispatchd log flips`.

use std::cmp::Reverse;

use crate::{
    api::{Call as _, Flip, FlipSummary, FlipsRequest},
    cli::note::{note, print_gone, print_passed_over},
    cli::{
        output::{Column, TableRow, Tabular, print_json, print_rows},
        text::{counted, seconds},
    },
    clock::{Clock as _, SystemClock},
    query_log::SearchOutcome,
};

pub(super) fn run(command: &Tabular<FlipsRequest>) -> anyhow::Result<()> {
    let min = command.reading.request.resolve(SystemClock.now())?.min;
    let report = command.reading.source.answer(&command.reading.request)?;
    let form = command.form();
    if form.json {
        print_rows(form, &report.flips)?;
        print_json(&report.summary)?;
        return print_gone(&report.summary.missing, &report.summary.from_store);
    }
    if !report.flips.is_empty() {
        print_rows(form, &report.flips)?;
    }
    let summary = &report.summary;
    for line in describe(summary, min) {
        note!("dispatchd: {line}");
    }
    let FlipSummary { damaged, unreadable_segments, .. } = *summary;
    print_passed_over(SearchOutcome { damaged, unreadable_segments });
    print_gone(&summary.missing, &summary.from_store)
}

impl TableRow for Flip {
    const COLUMNS: &'static [Column] = &[("HANDLE", 0), ("CHANGES", 0), ("LAST", 0), ("LIKELY", 0)];
    const WIDE: &'static [Column] = &[
        ("HANDLE", 0),
        ("CHANGES", 0),
        ("FIRST", 0),
        ("LAST", 0),
        ("LOOKUPS", 0),
        ("LIKELY", 0),
        ("REASONS", 0),
    ];

    fn cells(&self, wide: bool) -> Vec<String> {
        let handle = self.handle.canonical().into_owned();
        let (changes, likely) = (self.changes.to_string(), self.likely.to_string());
        if !wide {
            return vec![handle, changes, seconds(self.last_at), likely];
        }
        let (first, last) = (self.first_at.to_string(), self.last_at.to_string());
        vec![handle, changes, first, last, self.lookups.to_string(), likely, reasons(self)]
    }
}

/// `live-device 3, lease-expired 2`, most frequent first.
fn reasons(flip: &Flip) -> String {
    let mut reasons: Vec<_> = flip.reasons.iter().collect();
    reasons.sort_by_key(|reason| Reverse(reason.1));
    let reasons = reasons.into_iter().map(|(reason, count)| format!("{} {count}", reason.code()));
    reasons.collect::<Vec<_>>().join(", ")
}

fn describe(summary: &FlipSummary, min: u32) -> Vec<String> {
    let FlipSummary { handles, changes, cut, missing, from_store, .. } = summary;
    let head = match handles {
        // An answer that lacks a node, or its last records, does not tell that there is nothing.
        0 => (missing.is_empty() && from_store.iter().all(|node| node.complete))
            .then(|| format!("no handle's route changed {min} times or more")),
        _ => Some(format!(
            "handles whose route changed {min} times or more: {handles}, with {changes} changes"
        )),
    };
    let cut = (*cut > 0).then(|| {
        let handles = counted(*cut, "handle");
        format!("{handles} changed too often to be counted in full: the counts are minimums")
    });
    let likely = summary.likely.iter();
    let likely =
        likely.map(|it| format!("{}, {} of them: {}", it.likely.code(), it.handles, it.because));
    head.into_iter().chain(likely).chain(cut).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        api::{MissingNode, NodeFromStore},
        cli::output::table,
        clock::Timestamp,
        handle::Handle,
        query_log::{Likely, LikelyCount},
        vocabulary::Reason,
    };

    /// 2026-11-23T08:41:07Z.
    const AT: Timestamp = Timestamp::from_secs(1_795_423_267);

    fn flip(handle: &str, changes: u32) -> Flip {
        Flip {
            handle: Handle::parse(handle, None).unwrap(),
            changes,
            first_at: AT,
            last_at: AT,
            lookups: 20,
            routes: BTreeMap::new(),
            reasons: [(Reason::LeaseExpired, 1), (Reason::LiveDevice, changes - 1)].into(),
            registry: Vec::new(),
            latest: Vec::new(),
            likely: Likely::LeaseLapses,
            because: String::new(),
        }
    }

    fn summary(handles: u64, likely: Vec<LikelyCount>) -> FlipSummary {
        FlipSummary {
            since: AT,
            until: None,
            handles,
            changes: 15,
            likely,
            damaged: 1,
            unreadable_segments: 0,
            cut: 0,
            missing: Vec::new(),
            from_store: Vec::new(),
            hidden_until: None,
        }
    }

    #[test]
    fn a_table_is_aligned_and_the_summary_says_why() {
        let flips = [flip("ann@example.com", 12), flip("+14155550123", 3)];
        let golden = "\
HANDLE           CHANGES  LAST                  LIKELY
ann@example.com  12       2026-11-23T08:41:07Z  lease-lapses
+14155550123     3        2026-11-23T08:41:07Z  lease-lapses
";
        assert_eq!(table(&flips, false, Some(80)), golden);
        let wide = table(&flips, true, None);
        assert!(
            wide.lines().nth(1).is_some_and(|line| {
                line.ends_with("20       lease-lapses  live-device 11, lease-expired 1")
            }),
            "{wide}"
        );
        let because = "The lease lapses.".to_owned();
        let likely = vec![LikelyCount { likely: Likely::LeaseLapses, because, handles: 2 }];
        assert_eq!(
            describe(&summary(2, likely), 3),
            [
                "handles whose route changed 3 times or more: 2, with 15 changes",
                "lease-lapses, 2 of them: The lease lapses.",
            ]
        );
        let none = describe(&summary(0, Vec::new()), 2);
        assert_eq!(none, ["no handle's route changed 2 times or more"]);
        let missing = vec![MissingNode { node: "c".to_owned(), why: "no answer".to_owned() }];
        assert!(describe(&FlipSummary { missing, ..summary(0, Vec::new()) }, 2).is_empty());
        for complete in [false, true] {
            let (node, why) = ("c".to_owned(), "no answer".to_owned());
            let copied = NodeFromStore { node, why, until: Some(AT), complete, gaps: Vec::new() };
            let from_store = vec![copied];
            let told = describe(&FlipSummary { from_store, ..summary(0, Vec::new()) }, 2);
            assert_eq!(!told.is_empty(), complete, "later records may be missing");
        }
        let cut = describe(&FlipSummary { cut: 2, ..summary(0, Vec::new()) }, 2);
        assert!(cut[1].starts_with("2 handles changed too often"), "{cut:?}");
    }
}

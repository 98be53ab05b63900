//! `dispatchd log flips`.

use std::{
    cmp::Reverse,
    io::{Write as _, stdout},
};

use crate::{
    api::{Call as _, FlipsRequest},
    cli::{
        output::{print_json, print_rows, table},
        source::{Reading, print_passed_over},
    },
    clock::{Clock as _, SystemClock},
    query_log::{Flip, FlipSummary, SearchOutcome},
};

pub(super) fn run(command: &Reading<FlipsRequest>) -> anyhow::Result<()> {
    let min = command.request.resolve(SystemClock.now())?.min;
    let report = command.source.answer(&command.request)?;
    if command.json {
        print_rows(true, "", &report.flips)?;
        return print_json(&report.summary);
    }
    if !report.flips.is_empty() {
        write!(stdout(), "{}", flips(&report.flips))?;
    }
    let summary = &report.summary;
    for line in describe(summary, min) {
        eprintln!("dispatchd: {line}");
    }
    let FlipSummary { damaged, unreadable_segments, .. } = *summary;
    print_passed_over(SearchOutcome { damaged, unreadable_segments });
    Ok(())
}

fn flips(flips: &[Flip]) -> String {
    let row = |flip: &Flip| {
        let handle = flip.handle.canonical().into_owned();
        let (changes, last) = (flip.changes.to_string(), flip.last_at.to_string());
        vec![handle, changes, last, reasons(flip), flip.likely.code().to_owned()]
    };
    table("handle changes last reasons likely", flips.iter().map(row))
}

/// `live-device 3, lease-expired 2`, most frequent first.
fn reasons(flip: &Flip) -> String {
    let mut reasons: Vec<_> = flip.reasons.iter().collect();
    reasons.sort_by_key(|reason| Reverse(reason.1));
    let reasons = reasons.into_iter().map(|(reason, count)| format!("{} {count}", reason.code()));
    reasons.collect::<Vec<_>>().join(", ")
}

fn describe(summary: &FlipSummary, min: u32) -> Vec<String> {
    let FlipSummary { handles, changes, .. } = summary;
    let head = match handles {
        0 => format!("no handle's route changed {min} times or more"),
        _ => format!(
            "handles whose route changed {min} times or more: {handles}, with {changes} changes"
        ),
    };
    let likely = summary.likely.iter();
    let likely =
        likely.map(|it| format!("{}, {} of them: {}", it.likely.code(), it.handles, it.because));
    std::iter::once(head).chain(likely).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_aligned_and_the_summary_says_why() {
        let at = "2026-11-23T08:41:07.123456Z";
        let flip = |handle: &str, changes: u32| -> Flip {
            let flip = json!({
                "handle": handle, "changes": changes, "first_at": at, "last_at": at, "lookups": 20,
                "routes": {}, "reasons": {"lease-expired": 1, "live-device": changes - 1},
                "registry": [], "latest": [], "likely": "lease-lapses", "because": "",
            });
            serde_json::from_value(flip).unwrap()
        };
        let table = flips(&[flip("ann@example.com", 12), flip("+14155550123", 3)]);
        let golden = "\
HANDLE           CHANGES  LAST                         REASONS                          LIKELY
ann@example.com  12       2026-11-23T08:41:07.123456Z  live-device 11, lease-expired 1  lease-lapses
+14155550123     3        2026-11-23T08:41:07.123456Z  live-device 2, lease-expired 1   lease-lapses
";
        assert_eq!(table, golden);
        let summary = |handles: u64, likely| -> FlipSummary {
            let summary = json!({
                "since": at, "handles": handles, "changes": 15, "likely": likely, "damaged": 1,
                "unreadable_segments": 0,
            });
            serde_json::from_value(summary).unwrap()
        };
        let likely =
            json!([{"likely": "lease-lapses", "because": "The lease lapses.", "handles": 2}]);
        assert_eq!(
            describe(&summary(2, likely), 3),
            [
                "handles whose route changed 3 times or more: 2, with 15 changes",
                "lease-lapses, 2 of them: The lease lapses.",
            ]
        );
        let none = describe(&summary(0, json!([])), 2);
        assert_eq!(none, ["no handle's route changed 2 times or more"]);
    }
}

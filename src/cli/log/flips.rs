//! `dispatchd log flips`.

use std::io::{Write as _, stdout};

use serde_json::Value;

use crate::{
    api::{Call as _, FlipsRequest},
    cli::{client::block_on, reading::Reading},
    clock::{Clock as _, SystemClock},
    reading::{Answer as _, Stop},
};

pub(super) fn run(command: &Reading<FlipsRequest>) -> anyhow::Result<()> {
    let min = command.request.resolve(SystemClock.now())?.min;
    let report: Value = match command.source.records()? {
        Some(records) => {
            let stop: Stop = std::sync::Arc::new(|| false);
            serde_json::to_value(command.request.answer(
                &records,
                &crate::audit::local_user(),
                &stop,
            )?)?
        }
        None => {
            let client = command.source.client()?;
            let request = client.get(&command.request.path()).query(&command.request);
            block_on(async { Ok(client.send(request).await?.json().await?) })?
        }
    };
    print(&report, min, command.json)
}

fn print(report: &Value, min: u32, json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    let flips = report.get("flips").and_then(Value::as_array);
    let flips = flips.map(Vec::as_slice).unwrap_or_default();
    let summary = report.get("summary").cloned().unwrap_or_default();
    if json {
        for flip in flips {
            writeln!(out, "{flip}")?;
        }
        writeln!(out, "{summary}")?;
        return Ok(());
    }
    if !flips.is_empty() {
        write!(out, "{}", table(flips))?;
    }
    out.flush()?;
    for line in told(&summary, min) {
        eprintln!("dispatchd: {line}");
    }
    Ok(())
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or("-")
}

fn number(object: &Value, field: &str) -> u64 {
    object.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// A line for each handle.
fn table(flips: &[Value]) -> String {
    let header = ["HANDLE", "CHANGES", "LAST", "REASONS", "LIKELY"].map(str::to_owned);
    let rows = flips.iter().map(|flip| {
        [
            text(flip, "handle").to_owned(),
            number(flip, "changes").to_string(),
            text(flip, "last_at").to_owned(),
            reasons(flip),
            text(flip, "likely").to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut table = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        table.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// `live-device 3, lease-expired 2`, most frequent first.
fn reasons(flip: &Value) -> String {
    let reasons = flip.get("reasons").and_then(Value::as_object);
    let mut reasons: Vec<_> = reasons.into_iter().flatten().collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.1.as_u64()));
    let reasons = reasons.into_iter().map(|(reason, count)| format!("{reason} {count}"));
    reasons.collect::<Vec<_>>().join(", ")
}

/// The summary, for people.
fn told(summary: &Value, min: u32) -> Vec<String> {
    let (handles, changes) = (number(summary, "handles"), number(summary, "changes"));
    let mut lines = Vec::new();
    if handles == 0 {
        lines.push(format!("no handle's route changed {min} times or more"));
    } else {
        lines.push(format!(
            "handles whose route changed {min} times or more: {handles}, with {changes} changes"
        ));
    }
    let likely = summary.get("likely").and_then(Value::as_array);
    for likely in likely.into_iter().flatten() {
        let (code, because) = (text(likely, "likely"), text(likely, "because"));
        lines.push(format!("{code}, {} of them: {because}", number(likely, "handles")));
    }
    let (damaged, unreadable) =
        (number(summary, "damaged"), number(summary, "unreadable_segments"));
    if damaged > 0 || unreadable > 0 {
        lines.push(format!(
            "{damaged} damaged places and {unreadable} unreadable segments were passed over; \
             `dispatchd log verify` says which"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_is_aligned_and_the_summary_says_why() {
        let flip = |handle: &str, changes: u32| {
            json!({
                "handle": handle, "changes": changes, "last_at": "2026-11-23T08:41:07.123456Z",
                "reasons": {"lease-expired": 1, "live-device": changes - 1}, "likely": "lease-lapses",
            })
        };
        let table = table(&[flip("ann@example.com", 12), flip("+14155550123", 3)]);
        let golden = "\
HANDLE           CHANGES  LAST                         REASONS                          LIKELY
ann@example.com  12       2026-11-23T08:41:07.123456Z  live-device 11, lease-expired 1  lease-lapses
+14155550123     3        2026-11-23T08:41:07.123456Z  live-device 2, lease-expired 1   lease-lapses
";
        assert_eq!(table, golden);
        let summary = json!({
            "handles": 2, "changes": 15, "damaged": 1, "unreadable_segments": 0,
            "likely": [{"likely": "lease-lapses", "because": "The lease lapses.", "handles": 2}],
        });
        let lines = told(&summary, 3);
        assert_eq!(
            lines[..2],
            [
                "handles whose route changed 3 times or more: 2, with 15 changes",
                "lease-lapses, 2 of them: The lease lapses.",
            ]
        );
        assert!(lines[2].contains("1 damaged") && lines[2].contains("log verify"));
        let none = json!({"handles": 0, "changes": 0, "likely": []});
        assert_eq!(told(&none, 2), ["no handle's route changed 2 times or more"]);
    }
}

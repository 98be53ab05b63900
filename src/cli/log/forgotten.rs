//! `dispatchd log prove-forgotten`: what the log must not have any more, looked for.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::bail;
use serde_json::Value;

use crate::cli::source::Source;

/// Prints what was looked at and what was found. Exit code 1 if anything is there that should not be.
pub(super) async fn run(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let report: Value = match source.data {
        Some(_) => {
            let report = source.prove_forgotten()?;
            let mut value = serde_json::to_value(&report)?;
            if let Some(fields) = value.as_object_mut() {
                fields.insert("proved".into(), report.is_proved().into());
            }
            value
        }
        None => source.api()?.get("/v1/log/forgotten", &[], "*/*").await?.json().await?,
    };
    if json {
        println!("{report}");
    } else {
        print!("{}", told(&report));
    }
    if report.get("proved").and_then(Value::as_bool) == Some(true) {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("not everything that should be forgotten is")
}

/// The report for people.
fn told(report: &Value) -> String {
    let text = |field: &str| report.get(field).and_then(Value::as_str).unwrap_or("none");
    let count = |field: &str| report.get(field).and_then(Value::as_u64).unwrap_or(0);
    let findings = report.get("findings").and_then(Value::as_array);
    let findings = findings.map(Vec::as_slice).unwrap_or_default();
    let found = |what: &[&str]| {
        let is = |finding: &&Value| {
            finding.get("what").and_then(Value::as_str).is_some_and(|it| what.contains(&it))
        };
        if findings.iter().any(|finding| is(&finding)) { "NO " } else { "yes" }
    };
    let mut out = String::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{text}");
    };
    line(format_args!("looked at {}; nothing may be older than {}", text("at"), text("horizon")));
    let (keys, files, opened) = (count("keys"), count("files"), count("opened"));
    line(format_args!(
        "{}  {keys} keys, the oldest of the hour from {}; no older key exists",
        found(&["key", "root-key"]),
        text("oldest_key")
    ));
    line(format_args!(
        "{}  {files} files; none is of an older hour, none is unknown",
        found(&["file", "unknown-file"])
    ));
    line(format_args!(
        "{}  {opened} segments open with these keys; the oldest record is of {}",
        found(&["record"]),
        text("oldest_record")
    ));
    for finding in findings {
        let text = |field: &str| finding.get(field).and_then(Value::as_str).unwrap_or("-");
        line(format_args!("     {} {}: {}", text("what"), text("name"), text("detail")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_turns_its_line() {
        let mut report = serde_json::json!({
            "at": "2026-11-23T08:00:00.000000Z", "horizon": "2026-10-24T08:00:00.000000Z",
            "keys": 3, "oldest_key": "2026-11-23T06:00:00.000000Z", "files": 4, "opened": 4,
            "oldest_record": "2026-11-23T06:00:01.000000Z", "findings": [],
        });
        let lines = |report: &Value| told(report).lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(lines(&report)[1..].iter().all(|line| line.starts_with("yes")));
        for (at, what) in
            [(1, "key"), (1, "root-key"), (2, "file"), (2, "unknown-file"), (3, "record")]
        {
            report["findings"] = serde_json::json!([{"what": what, "name": "x", "detail": "y"}]);
            let lines = lines(&report);
            let turned: Vec<_> = (1..4).filter(|line| lines[*line].starts_with("NO")).collect();
            assert_eq!(turned, [at], "{what}");
            assert_eq!(lines[4], format!("     {what} x: y"));
        }
    }
}

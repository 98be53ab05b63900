//! `dispatchd log prove-forgotten`: looks for what the log must not have any more.

use std::io::{Write as _, stdout};

use anyhow::bail;

use crate::{
    api::{ForgottenReport, ForgottenRequest},
    cli::{output::print_json, source::Reading},
    clock::Timestamp,
    query_log::{Finding, ForgottenKind},
};

/// Prints what was looked at and what was found. Exit code 1 if anything is there that should not be.
pub(super) fn run(command: &Reading<ForgottenRequest>) -> anyhow::Result<()> {
    let report = command.source.answer(&command.request)?;
    let printed = match command.json {
        true => print_json(&report),
        false => write!(stdout(), "{}", describe(&report)).map_err(Into::into),
    };
    // First, so that a closed pipe does not turn the verdict into success.
    if !report.proved {
        bail!("not everything that should be forgotten is");
    }
    printed
}

fn describe(report: &ForgottenReport) -> String {
    use ForgottenKind::{File, Key, Record, RootKey, UnknownFile};
    let ForgottenReport { at, horizon, keys, files, opened, findings, .. } = report;
    let verdict = |kinds: &[ForgottenKind]| {
        let is_found = findings.iter().any(|finding| kinds.contains(&finding.what));
        if is_found { "NO " } else { "ok " }
    };
    let oldest = |what: &str, at: Option<Timestamp>| match at {
        Some(at) => format!("the oldest {what} is of {at}"),
        None => format!("there is no {what}"),
    };
    let (key, record) = (oldest("key", report.oldest_key), oldest("record", report.oldest_record));
    let mut lines = vec![
        format!("looked at {at}; nothing may be older than {horizon}"),
        format!("{} keys: {keys}; {key}; no older key exists", verdict(&[Key, RootKey])),
        format!(
            "{} files: {files}; none is of an older hour, none is unknown",
            verdict(&[File, UnknownFile])
        ),
        format!("{} segments that open with these keys: {opened}; {record}", verdict(&[Record])),
    ];
    let finding = |it: &Finding| format!("     {} {}: {}", it.what, it.name, it.detail);
    lines.extend(findings.iter().map(finding));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_turns_its_line() {
        let now = Timestamp::from_secs(1_795_420_800);
        let mut report = ForgottenReport {
            proved: true,
            at: now,
            horizon: now,
            keys: 3,
            oldest_key: Some(now),
            files: 4,
            opened: 4,
            oldest_record: None,
            findings: Vec::new(),
        };
        let lines = |report: &_| describe(report).lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(lines(&report)[1..].iter().all(|line| line.starts_with("ok")));
        for (at, what, code) in [
            (1, ForgottenKind::Key, "key"),
            (1, ForgottenKind::RootKey, "root-key"),
            (2, ForgottenKind::File, "file"),
            (2, ForgottenKind::UnknownFile, "unknown-file"),
            (3, ForgottenKind::Record, "record"),
        ] {
            report.findings = vec![Finding { what, name: "x".into(), detail: "y".into() }];
            let lines = lines(&report);
            let turned: Vec<_> = (1..4).filter(|line| lines[*line].starts_with("NO")).collect();
            assert_eq!(turned, [at], "{code}");
            assert_eq!(lines[4], format!("     {code} x: y"));
        }
    }
}

//! `dispatchd log prove-forgotten`: looks for what the log must not have any more.

use anyhow::bail;

use crate::{
    api::{ForgottenAnswer, ForgottenReport, ForgottenRequest, MissingNode, NodeForgotten},
    cli::{
        note::print_missing,
        output::{print_json, print_text},
        source::Reading,
        text::{counted, seconds},
    },
    clock::Timestamp,
    query_log::{Finding, ForgottenKind},
};

/// Stands before a finding.
const FINDING: &str = "    ";

/// Prints what was looked at and what was found. Exit code 1 if anything is there that should not be.
pub(super) fn run(command: &Reading<ForgottenRequest>) -> anyhow::Result<()> {
    let report = command.source.answer(&command.request)?;
    let printed = match command.json {
        true => print_json(&report),
        false => print_text(&describe_all(&report), FINDING.len()).map_err(Into::into),
    };
    // First, so that a closed pipe does not turn the verdict into success.
    let silent = report
        .others
        .iter()
        .filter_map(|it| Some(MissingNode { node: it.node.clone(), why: it.error.clone()? }));
    print_missing(&silent.collect::<Vec<_>>())?;
    if !report.own.proved {
        bail!("not everything that should be forgotten is");
    }
    printed
}

/// Each node under its name, if there are several.
fn describe_all(answer: &ForgottenAnswer) -> String {
    let mut text = describe(&answer.own);
    for NodeForgotten { node, error, report } in &answer.others {
        let told = report.as_ref().map(describe);
        let silent = || {
            format!("NO: it did not answer: {}\n", error.as_deref().unwrap_or("nothing is known"))
        };
        text += &format!("\nnode {node}:\n{}", told.unwrap_or_else(silent));
    }
    text
}

fn describe(report: &ForgottenReport) -> String {
    use ForgottenKind::{Copy, File, Key, Record, RootKey, Store, UnknownFile};
    let ForgottenReport { at, horizon, keys, files, opened, findings, .. } = report;
    let is_found = |kinds: &[ForgottenKind]| findings.iter().any(|it| kinds.contains(&it.what));
    let line = |kinds: &[ForgottenKind], well: String, ill: &str| match is_found(kinds) {
        true => format!("NO: {well}{ill}"),
        false => format!("ok: {well}"),
    };
    let oldest = |what: &str, at: Option<Timestamp>| {
        at.map_or_else(String::new, |at| format!(", oldest {what} {}", seconds(at)))
    };
    let (key, record) = (oldest("hour", report.oldest_key), oldest("record", report.oldest_record));
    let (keys, files) = (counted(*keys as u64, "key"), counted(*files as u64, "file"));
    let opened = counted(*opened as u64, "readable segment");
    let mut lines = vec![
        format!("checked at {} (the later of trusted time and wall clock)", seconds(*at)),
        format!("nothing may be older than {}", seconds(*horizon)),
        line(&[Key, RootKey], format!("{keys}{key}"), ""),
        line(&[File, UnknownFile], files, ", and some that should not exist"),
        line(&[Record], format!("{opened}{record}"), ""),
    ];
    if let Some(copies) = report.copies {
        let copies = counted(copies as u64, "object");
        lines.push(line(
            &[Copy],
            format!("{copies} in the store"),
            ", and some that should not exist",
        ));
    } else if is_found(&[Store]) {
        lines.push("NO: what the object store holds is unknown".to_owned());
    }
    let finding = |it: &Finding| format!("{FINDING}{} {}: {}", it.what, it.name, it.detail);
    lines.extend(findings.iter().map(finding));
    lines.push("An hour has the time it began, a record the time the log gave it. UTC.".to_owned());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(now: Timestamp) -> ForgottenReport {
        ForgottenReport {
            proved: true,
            at: now,
            horizon: now,
            keys: 1,
            oldest_key: Some(now),
            files: 4,
            opened: 4,
            oldest_record: None,
            copies: None,
            findings: Vec::new(),
        }
    }

    #[test]
    fn each_other_node_is_told_of_by_its_name() {
        let report = report(Timestamp::from_secs(1_795_420_800));
        let alone = ForgottenAnswer::from(report.clone());
        assert_eq!(describe_all(&alone), describe(&report));
        let told = |node: &str, report| NodeForgotten {
            node: node.to_owned(),
            error: Some("no answer: refused".to_owned()),
            report,
        };
        let all = alone.clone().with_others(vec![told("b", Some(report.clone()))]);
        assert!(all.own.proved);
        let all = alone.with_others(vec![told("b", Some(report.clone())), told("c", None)]);
        assert!(!all.own.proved, "nobody knows what c has");
        let own = describe(&report);
        let expected =
            format!("{own}\nnode b:\n{own}\nnode c:\nNO: it did not answer: no answer: refused\n");
        assert_eq!(describe_all(&all), expected);
    }

    #[test]
    fn each_finding_turns_its_line() {
        let now = Timestamp::from_secs(1_795_420_800);
        let mut report = report(now);
        let lines = |report: &_| describe(report).lines().map(str::to_owned).collect::<Vec<_>>();
        let time = "2026-11-23T08:00:00Z";
        assert_eq!(
            lines(&report),
            [
                &format!("checked at {time} (the later of trusted time and wall clock)"),
                &format!("nothing may be older than {time}"),
                &format!("ok: 1 key, oldest hour {time}"),
                "ok: 4 files",
                "ok: 4 readable segments",
                "An hour has the time it began, a record the time the log gave it. UTC.",
            ]
        );
        for (at, what, code) in [
            (2, ForgottenKind::Key, "key"),
            (2, ForgottenKind::RootKey, "root-key"),
            (3, ForgottenKind::File, "file"),
            (3, ForgottenKind::UnknownFile, "unknown-file"),
            (4, ForgottenKind::Record, "record"),
        ] {
            report.findings = vec![Finding { what, name: "x".into(), detail: "y".into() }];
            let lines = lines(&report);
            let turned: Vec<_> = (2..5).filter(|line| lines[*line].starts_with("NO: ")).collect();
            assert_eq!(turned, [at], "{code}");
            assert_eq!(lines[5], format!("    {code} x: y"));
        }
    }
}

//! `dispatchd audit list|verify`: who read the query log.

use std::fmt::Write as _;

use clap::Subcommand;

use super::{
    output::{Column, RowPrinter, TableRow, Tabular, cell, print_json, print_text},
    source::Reading,
    text::seconds,
};
use crate::{
    api::{
        AuditEntry, AuditRequest, AuditVerification, AuditVerificationAnswer, AuditVerifyRequest,
    },
    audit::{Fingerprint, Noted},
    cli::note::{check_each, note, print_lacks},
};

#[derive(Subcommand)]
pub(super) enum Audit {
    /// List the calls that read the log, oldest first: who, when, which, with which filters, how many records
    List(Tabular<AuditRequest>),
    /// Read the chain of entries and say where it is not what was written; exit 1 if anywhere
    Verify(Reading<AuditVerifyRequest>),
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => {
                let mut printer = RowPrinter::stdout(list.form());
                let Reading { request, source, .. } = &list.reading;
                let outcome = source.rows(request, |call| Ok(printer.print(&call)?))?;
                printer.flush()?;
                // An answer that lacks a node does not tell that there is nothing.
                outcome.as_ref().map_or(Ok(()), print_lacks)?;
                if printer.printed == 0 {
                    note!("dispatchd: no call matches");
                }
            }
            Self::Verify(verify) => {
                let report = verify.source.answer(&verify.request)?;
                let printed = match verify.json {
                    true => print_json(&report),
                    false => print_text(&describe_all(&report), 2).map_err(Into::into),
                };
                // First, so that a closed pipe does not turn the verdict into success.
                let (unsound, missing) = (report.unsound(), report.missing());
                check_each("the audit log", &unsound, &missing, report.own.sound)?;
                printed?;
                note!("dispatchd: the audit log is sound");
            }
        }
        Ok(())
    }
}

/// Each node under its name, if there are several.
fn describe_all(answer: &AuditVerificationAnswer) -> String {
    let each = answer.reports().into_iter().map(|(node, report)| match node {
        None => describe(report),
        Some(node) => format!("node {node}:\n{}", describe(report)),
    });
    each.collect::<Vec<_>>().join("\n")
}

fn describe(report: &AuditVerification) -> String {
    let mut out = String::new();
    let AuditVerification { entries, files, from, until, head, gaps, torn, changed, .. } = report;
    let fields = [
        ("entries", entries.to_string()),
        ("files", files.to_string()),
        ("from", cell(from.as_ref())),
        ("until", cell(until.as_ref())),
        ("head", cell(head.as_ref())),
        ("gaps", gaps.to_string()),
        ("torn", torn.to_string()),
        ("changed", changed.to_string()),
    ];
    for (name, value) in fields {
        let _ = writeln!(out, "{name:<8} {value}");
    }
    for place in &report.places {
        let _ = writeln!(out, "{:<8} {} line {}", place.fault, place.file, place.line);
    }
    out
}

impl TableRow for AuditEntry {
    const COLUMNS: &'static [Column] = &[
        ("TIME", 20),
        ("OPERATOR", 10),
        ("CALL", 12),
        ("RECORDS", 7),
        ("CASE", 8),
        ("FILTERS", 7),
    ];
    const WIDE: &'static [Column] = &[
        ("N", 6),
        ("AT", 27),
        ("ENDED_AT", 27),
        ("OPERATOR", 16),
        ("CALL", 12),
        ("RECORDS", 9),
        ("WHOLE", 5),
        ("REFUSED", 7),
        ("CASE", 8),
        ("FILTERS", 0),
    ];

    fn cells(&self, wide: bool) -> Vec<String> {
        let Self { n, at, operator, call, filters, case, records, whole, refused, ended_at } = self;
        let filters: Vec<_> = filters.iter().map(|(name, noted)| filter(name, noted)).collect();
        let filters = if filters.is_empty() { "-".to_owned() } else { filters.join(" ") };
        let (operator, call) = (operator.clone(), call.clone());
        let (records, case) = (cell(*records), cell(case.as_ref()));
        if !wide {
            let records = if refused.is_some() { "refused".to_owned() } else { records };
            return vec![seconds(*at), operator, call, records, case, filters];
        }
        let (n, at, ended_at) = (n.to_string(), at.to_string(), cell(ended_at.as_ref()));
        let (whole, refused) = (cell(*whole), cell(refused.as_ref()));
        vec![n, at, ended_at, operator, call, records, whole, refused, case, filters]
    }
}

/// `route=sms`, or `handle=498728:5f0c…`: an hour and the value's fingerprint under that hour's key.
fn filter(name: &str, noted: &Noted) -> String {
    match noted {
        Noted::Plain(text) => format!("{name}={text}"),
        Noted::Fingerprint(Fingerprint { hour, fingerprint }) => {
            format!("{name}={hour}:{fingerprint}")
        }
        Noted::Unkeyed => format!("{name}=?"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        cli::output::{Form, Style},
        clock::Timestamp,
    };

    #[test]
    fn a_table_has_one_header_and_says_what_was_asked_for() {
        let mut out = Vec::new();
        let style = Style { columns: Some(80), colour: false };
        let mut printer = RowPrinter::new(&mut out, Form::default(), style);
        let at = Timestamp::from_secs(1_795_423_267);
        let handle = Fingerprint { hour: 498_728, fingerprint: "5f0c".into() };
        let filters = [
            ("handle".to_owned(), Noted::Fingerprint(handle)),
            ("ip".to_owned(), Noted::Unkeyed),
            ("route".to_owned(), Noted::Plain("sms".into())),
        ];
        let mut listed = AuditEntry {
            n: 1,
            at,
            operator: "ann".into(),
            call: "search".into(),
            filters: filters.into(),
            case: Some("INC-1".into()),
            records: Some(12),
            whole: Some(true),
            refused: None,
            ended_at: Some(at),
        };
        printer.print(&listed).unwrap();
        (listed.filters, listed.records, listed.case) = (BTreeMap::new(), None, None);
        printer.print(&listed).unwrap();
        (listed.records, listed.refused) = (Some(0), Some("role-insufficient".into()));
        printer.print(&listed).unwrap();
        let printed = String::from_utf8(out).unwrap();
        let golden = "\
TIME                  OPERATOR    CALL          RECORDS  CASE      FILTERS
2026-11-23T08:41:07Z  ann         search        12       INC-1     handle=49872…
2026-11-23T08:41:07Z  ann         search        -        -         -
2026-11-23T08:41:07Z  ann         search        refused  -         -
";
        assert_eq!(printed, golden);
    }
}

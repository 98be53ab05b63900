//! `dispatchd audit list|verify`: who read the query log.

use std::io::{self, Write};

use anyhow::bail;
use clap::Subcommand;

use super::{source::Reading, table::cell};
use crate::{
    api::{AuditRequest, AuditVerifyRequest},
    audit::{Fingerprint, Listed, Noted, VerifyReport},
};

#[derive(Subcommand)]
pub(super) enum Audit {
    /// List the calls that read the log, oldest first: who, when, which, with which filters, how many records
    List(Reading<AuditRequest>),
    /// Read the chain of entries and say where it is not what was written; exit 1 if anywhere
    Verify(Reading<AuditVerifyRequest>),
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => {
                let mut printer =
                    CallPrinter { out: io::stdout().lock(), json: list.json, printed: 0 };
                list.source.rows(&list.request, &mut |call| Ok(printer.print(&call)?))?;
                printer.out.flush()?;
                if printer.printed == 0 {
                    eprintln!("dispatchd: no call matches");
                }
            }
            Self::Verify(verify) => {
                let report = verify.source.answer(&verify.request)?;
                print_report(&report, verify.json)?;
                if !report.sound {
                    bail!("the audit log is not sound");
                }
                eprintln!("dispatchd: the audit log is sound");
            }
        }
        Ok(())
    }
}

fn print_report(report: &VerifyReport, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
        return Ok(out.flush()?);
    }
    let VerifyReport { entries, files, from, until, head, gaps, torn, changed, .. } = report;
    for (name, value) in [
        ("entries", cell(entries)),
        ("files", cell(files)),
        ("from", cell(from)),
        ("until", cell(until)),
        ("head", cell(head)),
        ("gaps", cell(gaps)),
        ("torn", cell(torn)),
        ("changed", cell(changed)),
    ] {
        writeln!(out, "{name:<8} {value}")?;
    }
    for place in &report.places {
        writeln!(out, "{:<8} {} line {}", cell(place.fault), place.file, place.line)?;
    }
    Ok(out.flush()?)
}

/// Prints calls: as JSON, or as a table for people.
struct CallPrinter<W> {
    out: W,
    json: bool,
    printed: u64,
}

impl<W: Write> CallPrinter<W> {
    fn print(&mut self, call: &Listed) -> io::Result<()> {
        self.printed += 1;
        if self.json {
            return writeln!(self.out, "{}", serde_json::to_string(call)?);
        }
        if self.printed == 1 {
            let [at, operator, call, records] = ["AT", "OPERATOR", "CALL", "RECORDS"];
            writeln!(self.out, "{at:<27} {operator:<16} {call:<12} {records:>9}  FILTERS")?;
        }
        let Listed { at, operator, call, filters, records, .. } = call;
        let (at, records) = (at.to_string(), cell(records));
        let filters: Vec<_> = filters.iter().map(|(name, noted)| filter(name, noted)).collect();
        let filters = filters.join(" ");
        let row = format!("{at:<27} {operator:<16} {call:<12} {records:>9}  {filters}");
        writeln!(self.out, "{}", row.trim_end())
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
    use super::*;

    #[test]
    fn a_table_has_one_header_and_says_what_was_asked_for() {
        let mut printer = CallPrinter { out: Vec::new(), json: false, printed: 0 };
        let listed = serde_json::json!({
            "n": 1, "at": "2026-11-23T08:41:07.123456Z", "operator": "ann", "call": "search",
            "filters": {"handle": {"hour": 498_728, "fingerprint": "5f0c"}, "ip": null, "route": "sms"},
            "records": 12, "whole": true, "ended_at": "2026-11-23T08:41:07.223456Z",
        });
        let mut listed: Listed = serde_json::from_value(listed).unwrap();
        printer.print(&listed).unwrap();
        (listed.filters, listed.records) = (Default::default(), None);
        printer.print(&listed).unwrap();
        let printed = String::from_utf8(printer.out).unwrap();
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with(" 12  handle=498728:5f0c ip=? route=sms"), "{printed}");
        assert!(lines[2].ends_with(" -"), "{printed}");
        let column = lines[0].find("OPERATOR").unwrap();
        assert!(lines[1][column..].starts_with("ann "));
    }
}

//! `dispatchd audit list|verify`: who read the query log.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{
    UsageError,
    filter::{handle, instant, take},
    lines::Lines,
    source::Source,
};
use crate::{
    audit::{Call, Filters, Wanted},
    clock::{Clock as _, SystemClock},
    operators,
};

const NDJSON: &str = "application/x-ndjson";

#[derive(Subcommand)]
pub(super) enum Audit {
    /// List the calls that read the log, oldest first: who, when, which, with which filters, how many records
    List(List),
    /// Read the chain of entries and say where it is not what was written; exit 1 if anywhere
    Verify(Verify),
}

#[derive(Args)]
pub(super) struct List {
    /// Begun from then on: RFC 3339, or a span back from now (90m, 7d)
    #[arg(long)]
    since: Option<String>,
    /// Begun before then: RFC 3339, or a span back from now
    #[arg(long)]
    until: Option<String>,
    /// By this operator, or by local: and the number of a user of the machine
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// That named this phone number or e-mail address, as far back as the log can be read
    #[arg(long)]
    handle: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
pub(super) struct Verify {
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::List(list) if list.source.data.is_some() => list.files(),
            Self::List(list) => runtime.block_on(list.server()),
            Self::Verify(verify) => {
                let report = match verify.source.data {
                    Some(_) => verify.files()?,
                    None => runtime.block_on(verify.server())?,
                };
                verify.print(&report)
            }
        }
    }
}

impl List {
    fn wanted(&self) -> Result<Wanted, UsageError> {
        let now = SystemClock.now();
        let name = |text: &str| operators::is_name(text.trim_start_matches("local:"));
        Ok(Wanted {
            since: take("--since", self.since.as_deref(), |text| instant(text, now))?,
            until: take("--until", self.until.as_deref(), |text| instant(text, now))?,
            operator: take("--operator", self.operator.as_deref(), |text| {
                name(text).then(|| text.to_owned())
            })?,
            handle: handle(self.handle.as_deref())?,
        })
    }

    async fn server(&self) -> anyhow::Result<ExitCode> {
        self.wanted()?;
        let named = [
            ("since", &self.since),
            ("until", &self.until),
            ("operator", &self.operator),
            ("handle", &self.handle),
        ];
        let query: Vec<_> =
            named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        let response = self.source.api()?.get("/v1/audit", &query, NDJSON).await?;
        let (mut table, mut lines) = (Table::stdout(self.json), Lines::of(response));
        while let Some(line) = lines.next().await? {
            table.print(&serde_json::from_slice(&line)?)?;
        }
        table.finish()
    }

    fn files(&self) -> anyhow::Result<ExitCode> {
        let wanted = self.wanted()?;
        let (audit, mut audited) = self.source.read_audit(Call::AuditList, &wanted.filters())?;
        let mut table = Table::stdout(self.json);
        for listed in audit.list(wanted)? {
            audited.add(1);
            table.print(&serde_json::to_value(listed?)?)?;
        }
        let code = table.finish()?;
        audited.finish();
        Ok(code)
    }
}

impl Verify {
    async fn server(&self) -> anyhow::Result<Value> {
        Ok(self.source.api()?.get("/v1/audit/verify", &[], "*/*").await?.json().await?)
    }

    fn files(&self) -> anyhow::Result<Value> {
        let (audit, audited) = self.source.read_audit(Call::AuditVerify, &Filters::none())?;
        let report = serde_json::to_value(audit.verify()?)?;
        audited.finish();
        Ok(report)
    }

    fn print(&self, report: &Value) -> anyhow::Result<ExitCode> {
        let mut out = io::stdout().lock();
        if self.json {
            writeln!(out, "{report}")?;
        } else {
            let fields = ["entries", "files", "from", "until", "head", "gaps", "torn", "changed"];
            for field in fields {
                writeln!(out, "{:<8} {}", field, cell(report, field))?;
            }
            for place in report.get("places").and_then(Value::as_array).into_iter().flatten() {
                let [file, line, fault] = ["file", "line", "fault"].map(|field| cell(place, field));
                writeln!(out, "{fault:<8} {file} line {line}")?;
            }
        }
        out.flush()?;
        if report.get("sound").and_then(Value::as_bool).unwrap_or(false) {
            eprintln!("dispatchd: the audit log is sound");
            return Ok(ExitCode::SUCCESS);
        }
        bail!("the audit log is not sound")
    }
}

fn cell(object: &Value, field: &str) -> String {
    match object.get(field) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(value) => value.to_string(),
    }
}

/// Prints calls: as they are with `--json`, as a table for people otherwise.
struct Table<W> {
    out: W,
    json: bool,
    printed: u64,
}

impl Table<io::StdoutLock<'static>> {
    fn stdout(json: bool) -> Self {
        Self { out: io::stdout().lock(), json, printed: 0 }
    }
}

impl<W: Write> Table<W> {
    fn print(&mut self, listed: &Value) -> io::Result<()> {
        self.printed += 1;
        if self.json {
            return writeln!(self.out, "{listed}");
        }
        if self.printed == 1 {
            let [at, operator, call, records] = ["AT", "OPERATOR", "CALL", "RECORDS"];
            writeln!(self.out, "{at:<27} {operator:<16} {call:<12} {records:>9}  FILTERS")?;
        }
        let [at, operator, call, records] =
            ["at", "operator", "call", "records"].map(|field| cell(listed, field));
        let filters = listed.get("filters").and_then(Value::as_object).map(filters);
        let filters = filters.unwrap_or_default();
        let row = format!("{at:<27} {operator:<16} {call:<12} {records:>9}  {filters}");
        writeln!(self.out, "{}", row.trim_end())
    }

    fn finish(mut self) -> anyhow::Result<ExitCode> {
        self.out.flush()?;
        if self.printed == 0 {
            eprintln!("dispatchd: no call matches");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `route=sms handle=498728:5f0c…`, the latter an hour and the value's fingerprint under that hour's key.
fn filters(filters: &Map<String, Value>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "?".to_owned(),
        noted => format!("{}:{}", cell(noted, "hour"), cell(noted, "fingerprint")),
    };
    let each = filters.iter().map(|(name, value)| format!("{name}={}", text(value)));
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_one_header_and_says_what_was_asked_for() {
        let mut table = Table { out: Vec::new(), json: false, printed: 0 };
        let listed = serde_json::json!({
            "n": 1, "at": "2026-11-23T08:41:07.123456Z", "operator": "ann", "call": "search",
            "filters": {"handle": {"hour": 498_728, "fingerprint": "5f0c"}, "ip": null, "route": "sms"},
            "records": 12, "whole": true, "ended_at": "2026-11-23T08:41:07.223456Z",
        });
        let under_way = serde_json::json!({"at": "x", "operator": "b", "call": "tail", "filters": {}, "records": null});
        table.print(&listed).unwrap();
        table.print(&under_way).unwrap();
        let printed = String::from_utf8(table.out).unwrap();
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].ends_with(" 12  handle=498728:5f0c ip=? route=sms"), "{printed}");
        assert!(lines[2].ends_with(" -"), "{printed}");
        let column = lines[0].find("OPERATOR").unwrap();
        assert!(lines[1][column..].starts_with("ann "));
    }
}

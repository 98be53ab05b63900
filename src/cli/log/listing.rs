//! What the log is made of: its segments, whether they are sound, whether what expired is gone.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::{bar, forgotten};
use crate::{
    audit::{Call, Filters},
    cli::source::Source,
    clock::{Clock as _, SystemClock},
};

#[derive(Args)]
pub(in crate::cli) struct Listing {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Listing {
    pub(super) async fn segments(&self) -> anyhow::Result<ExitCode> {
        let segments: Value = match self.source.data {
            Some(_) => serde_json::to_value(self.source.segments()?)?,
            None => self.source.api()?.get("/v1/log/segments", &[], "*/*").await?.json().await?,
        };
        let columns = ["segment", "state", "from", "records", "bytes", "expires_at"];
        self.table(&segments, &columns)?;
        if !self.json {
            let segments = segments.as_array().map(Vec::as_slice).unwrap_or_default();
            print!("{}", bar::of(segments, SystemClock.now()));
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) async fn verify(&self) -> anyhow::Result<ExitCode> {
        let report: Value = match self.source.data {
            Some(_) => {
                let (reader, audited) = self.source.read(Call::Verify, &Filters::none())?;
                let report = serde_json::to_value(reader.verify())?;
                audited.finish();
                report
            }
            None => self.source.api()?.get("/v1/log/verify", &[], "*/*").await?.json().await?,
        };
        let segments = report.get("segments").cloned().unwrap_or_default();
        let columns = [
            "segment",
            "state",
            "key",
            "records",
            "damaged",
            "rebuilt",
            "forged",
            "gaps",
            "lost_records",
            "torn_bytes",
            "out_of_order",
            "overdue",
            "sound",
        ];
        self.table(&segments, &columns)?;
        tell_chain(&report);
        let sound = report.get("sound").and_then(Value::as_bool).unwrap_or(false);
        if sound {
            eprintln!("dispatchd: the log is sound");
            return Ok(ExitCode::SUCCESS);
        }
        bail!("the log is not sound")
    }

    pub(super) async fn prove_forgotten(&self) -> anyhow::Result<ExitCode> {
        forgotten::run(&self.source, self.json).await
    }

    /// One line for each object: as JSON, or the named columns.
    fn table(&self, objects: &Value, columns: &[&str]) -> anyhow::Result<()> {
        let mut out = stdout().lock();
        let objects = objects.as_array().map(Vec::as_slice).unwrap_or_default();
        if self.json {
            for object in objects {
                writeln!(out, "{object}")?;
            }
            return Ok(());
        }
        let cell = |object: &Value, column: &&str| match object.get(column) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "-".to_owned(),
        };
        let header = columns.iter().map(|column| column.to_uppercase()).collect::<Vec<_>>();
        let rows = objects.iter().map(|object| columns.iter().map(|c| cell(object, c)).collect());
        let table: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
        let width = |at: usize| table.iter().filter_map(|row| row.get(at)).map(String::len).max();
        for row in &table {
            let mut line = String::new();
            for (at, text) in row.iter().enumerate() {
                let pad = width(at).unwrap_or(0);
                line.push_str(&format!("{text:<pad$}  "));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Says which sealed segments are missing or not what they were, and what to note to find out later.
fn tell_chain(report: &Value) {
    let chain = report.get("chain").cloned().unwrap_or_default();
    let faults = [
        ("missing", "is missing: another names it, and it has not expired"),
        ("replaced", "is not what another names: it was replaced"),
        ("loose", "hangs loose: something sealed before or after it is missing"),
    ];
    for (field, fault) in faults {
        for segment in chain.get(field).and_then(Value::as_array).into_iter().flatten() {
            eprintln!("dispatchd: segment {} {fault}", segment.as_str().unwrap_or("-"));
        }
    }
    if let Some(head) = chain.get("head").and_then(Value::as_str) {
        eprintln!("dispatchd: the chain of sealed segments ends with {head}");
    }
}

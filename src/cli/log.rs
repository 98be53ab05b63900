//! `dispatchd log search|tail|flips|segments|verify`.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    filter::{FilterArgs, OrderName},
    flips::Flips,
    lines::Lines,
    output::Rows,
    source::Source,
};
use crate::{
    clock::{Clock as _, SystemClock},
    query_log::{Cursor, Order},
};

/// How often a tail over files looks for new records.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const NDJSON: &str = "application/x-ndjson";

#[derive(Subcommand)]
pub(super) enum Log {
    /// Print the records that match, newest first
    Search(Search),
    /// Print records that match as they are written, until interrupted
    Tail(Tail),
    /// Print the handles whose route went back and forth, most often first, and the likely cause
    Flips(Flips),
    /// List the hours of the log: state, records, bytes, when each is destroyed
    Segments(Listing),
    /// Read every segment and say what is damaged, missing or overdue; exit 1 if anything is
    Verify(Listing),
}

#[derive(Args)]
pub(super) struct Search {
    #[command(flatten)]
    filter: FilterArgs,
    /// Which end of time comes first
    #[arg(long, value_enum, default_value_t = OrderName::Desc)]
    order: OrderName,
    /// Records at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
pub(super) struct Tail {
    #[command(flatten)]
    filter: FilterArgs,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

#[derive(Args)]
pub(super) struct Listing {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

impl Log {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Search(search) if search.source.data.is_some() => search.files(),
            Self::Search(search) => runtime.block_on(search.server()),
            Self::Tail(tail) if tail.source.data.is_some() => tail.files(),
            Self::Tail(tail) => runtime.block_on(tail.server()),
            Self::Flips(flips) => runtime.block_on(flips.run()),
            Self::Segments(listing) => runtime.block_on(listing.segments()),
            Self::Verify(listing) => runtime.block_on(listing.verify()),
        }
    }
}

impl Search {
    async fn server(&self) -> anyhow::Result<ExitCode> {
        let mut query = self.filter.query(SystemClock.now())?;
        query.push(("order", self.order.name().to_owned()));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        let response = self.source.api()?.get("/v1/log", &query, NDJSON).await?;
        let mut rows = Rows::stdout(self.json);
        let mut lines = Lines::of(response);
        while let Some(line) = lines.next().await? {
            rows.print(&line)?;
        }
        finish(rows)
    }

    fn files(&self) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter(SystemClock.now())?;
        let mut search = self.source.reader()?.search(&filter, self.order.into(), None);
        let mut rows = Rows::stdout(self.json);
        for found in search.by_ref().take(self.limit.unwrap_or(usize::MAX)) {
            rows.print(found?.1.to_json().as_bytes())?;
        }
        let outcome = search.outcome();
        let code = finish(rows)?;
        if outcome.damaged > 0 || outcome.unreadable_segments > 0 {
            eprintln!(
                "dispatchd: {} damaged frames and {} unreadable segments were passed over; \
                 `dispatchd log verify` says which",
                outcome.damaged, outcome.unreadable_segments
            );
        }
        Ok(code)
    }
}

fn finish<W: std::io::Write>(mut rows: Rows<W>) -> anyhow::Result<ExitCode> {
    rows.flush()?;
    if rows.printed == 0 {
        eprintln!("dispatchd: no record matches");
    }
    Ok(ExitCode::SUCCESS)
}

impl Tail {
    async fn server(&self) -> anyhow::Result<ExitCode> {
        let query = self.filter.query(SystemClock.now())?;
        let response = self.source.api()?.get("/v1/log/tail", &query, "text/event-stream").await?;
        let mut rows = Rows::stdout(self.json);
        let mut lines = Lines::of(response);
        while let Some(line) = lines.next().await? {
            if let Some(record) = line.strip_prefix(b"data: ") {
                rows.print(record)?;
                rows.flush()?;
            }
        }
        bail!("the server ended the stream")
    }

    /// Files have no writer to listen to: look again and again behind the last record seen. The reader is opened anew,
    /// since the key of a new hour is in a new keyring.
    fn files(&self) -> anyhow::Result<ExitCode> {
        let mut rows = Rows::stdout(self.json);
        let mut after = self.last()?;
        loop {
            let filter = self.filter.filter(SystemClock.now())?;
            let reader = self.source.reader()?;
            for found in reader.search(&filter, Order::Asc, after) {
                let (cursor, row) = found?;
                after = Some(cursor);
                rows.print(row.to_json().as_bytes())?;
            }
            rows.flush()?;
            thread::sleep(LOOK_EVERY);
        }
    }

    fn last(&self) -> anyhow::Result<Option<Cursor>> {
        let all = crate::query_log::Filter::default();
        let newest = self.source.reader()?.search(&all, Order::Desc, None).next();
        Ok(newest.transpose()?.map(|(cursor, _)| cursor))
    }
}

impl Listing {
    async fn segments(&self) -> anyhow::Result<ExitCode> {
        let segments: Value = match self.source.data {
            Some(_) => serde_json::to_value(self.source.reader()?.segments())?,
            None => self.source.api()?.get("/v1/log/segments", &[], "*/*").await?.json().await?,
        };
        let columns = ["segment", "state", "from", "records", "bytes", "expires_at"];
        self.table(&segments, &columns)?;
        Ok(ExitCode::SUCCESS)
    }

    async fn verify(&self) -> anyhow::Result<ExitCode> {
        let report: Value = match self.source.data {
            Some(_) => serde_json::to_value(self.source.reader()?.verify())?,
            None => self.source.api()?.get("/v1/log/verify", &[], "*/*").await?.json().await?,
        };
        let segments = report.get("segments").cloned().unwrap_or_default();
        let columns = [
            "segment",
            "state",
            "key",
            "records",
            "damaged",
            "forged",
            "gaps",
            "torn_bytes",
            "out_of_order",
            "overdue",
            "sound",
        ];
        self.table(&segments, &columns)?;
        let sound = report.get("sound").and_then(Value::as_bool).unwrap_or(false);
        if sound {
            eprintln!("dispatchd: the log is sound");
            return Ok(ExitCode::SUCCESS);
        }
        bail!("the log is not sound")
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

//! `dispatchd log search|tail|export|flips|segments|verify|prove-forgotten`.

mod bar;
mod export;
mod flips;
mod forgotten;
mod listing;

use std::{process::ExitCode, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand};

use flips::Flips;
use listing::Listing;

use super::{
    filter::{FilterArgs, OrderName},
    interrupt::{EXIT_INTERRUPTED, Interrupt},
    lines::Lines,
    output::RecordPrinter,
    source::Source,
};
use crate::{
    audit::{Audited, Call, Filters},
    clock::{Clock as _, SystemClock},
    query_log::{Cursor, Filter, LogReader, Order, SearchOutcome},
};

/// How often a tail over files looks for new records.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
pub(super) enum Log {
    /// Print the records that match, newest first
    Search(Search),
    /// Print records that match as they are written, until interrupted
    Tail(Tail),
    /// Copy the records that match to a file: Parquet, CSV or NDJSON, plain or encrypted
    Export(export::Export),
    /// Print the handles whose route went back and forth, most often first, and the likely cause
    Flips(Flips),
    /// List the hours of the log: state, records, bytes, when each is destroyed
    Segments(Listing),
    /// Read every segment and say what is damaged, missing or overdue; exit 1 if anything is
    Verify(Listing),
    /// Look for keys, files and readable records older than the retention; exit 1 if there is one
    ProveForgotten(Listing),
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

impl Log {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Search(search) if search.source.data.is_some() => search.files(),
            Self::Search(search) => runtime.block_on(search.server()),
            Self::Tail(tail) if tail.source.data.is_some() => tail.files(),
            Self::Tail(tail) => runtime.block_on(tail.server()),
            Self::Export(export) => runtime.block_on(export.run()),
            Self::Flips(flips) => runtime.block_on(flips.run()),
            Self::Segments(listing) => runtime.block_on(listing.segments()),
            Self::Verify(listing) => runtime.block_on(listing.verify()),
            Self::ProveForgotten(listing) => runtime.block_on(listing.prove_forgotten()),
        }
    }
}

impl Search {
    async fn server(&self) -> anyhow::Result<ExitCode> {
        let mut query = self.filter.query(SystemClock.now())?;
        query.push(("order", self.order.name().to_owned()));
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        let response = self.source.api()?.rows("/v1/log", &query).await?;
        let mut rows = RecordPrinter::stdout(self.json);
        let mut lines = Lines::of(response);
        while let Some(line) = lines.next().await? {
            rows.print(&line)?;
        }
        let code = finish(rows)?;
        lines.outcome().into_iter().for_each(tell_passed_over);
        Ok(code)
    }

    fn files(&self) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter(SystemClock.now())?;
        let filters =
            Filters::of(&filter).plain("order", Some(self.order.name())).plain("limit", self.limit);
        let (reader, mut audited) = self.source.read(Call::Search, &filters)?;
        let interrupt = Interrupt::watch()?;
        let stop = interrupt.clone();
        let mut search =
            reader.search(&filter, self.order.into(), None).stop_when(move || stop.has_come());
        let mut rows = RecordPrinter::stdout(self.json);
        for found in search.by_ref().take(self.limit.unwrap_or(usize::MAX)) {
            let (_, row) = found?;
            audited.add(1);
            rows.print(row.to_json().as_bytes())?;
            if interrupt.has_come() {
                break;
            }
        }
        if interrupt.has_come() {
            // Dropped without its end, the entry says that it broke off.
            return Ok(EXIT_INTERRUPTED.into());
        }
        let outcome = search.outcome();
        let code = finish(rows)?;
        audited.finish();
        tell_passed_over(outcome);
        Ok(code)
    }
}

fn tell_passed_over(outcome: SearchOutcome) {
    if outcome.damaged > 0 || outcome.unreadable_segments > 0 {
        eprintln!(
            "dispatchd: {} damaged frames and {} unreadable segments were passed over; \
             `dispatchd log verify` says which",
            outcome.damaged, outcome.unreadable_segments
        );
    }
}

fn finish<W: std::io::Write>(mut rows: RecordPrinter<W>) -> anyhow::Result<ExitCode> {
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
        let mut rows = RecordPrinter::stdout(self.json);
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
        let filters = Filters::of(&self.filter.filter(SystemClock.now())?);
        let (mut reader, mut audited) = self.source.read(Call::Tail, &filters)?;
        let interrupt = Interrupt::watch()?;
        let mut rows = RecordPrinter::stdout(self.json);
        let mut after = last(&reader)?;
        loop {
            self.look(&reader, &mut after, &mut audited, &mut rows)?;
            if interrupt.wait(LOOK_EVERY) {
                return Ok(EXIT_INTERRUPTED.into());
            }
            reader = self.source.reopen(&audited)?;
        }
    }

    /// Prints what is new.
    fn look<W: std::io::Write>(
        &self,
        reader: &LogReader,
        after: &mut Option<Cursor>,
        audited: &mut Audited,
        rows: &mut RecordPrinter<W>,
    ) -> anyhow::Result<()> {
        let filter = self.filter.filter(SystemClock.now())?;
        for found in reader.search(&filter, Order::Asc, *after) {
            let (cursor, row) = found?;
            *after = Some(cursor);
            audited.add(1);
            rows.print(row.to_json().as_bytes())?;
        }
        Ok(rows.flush()?)
    }
}

fn last(reader: &LogReader) -> anyhow::Result<Option<Cursor>> {
    let newest = reader.search(&Filter::default(), Order::Desc, None).next();
    Ok(newest.transpose()?.map(|(cursor, _)| cursor))
}

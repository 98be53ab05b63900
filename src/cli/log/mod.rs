//! `dispatchd log search|tail|export|flips|segments|verify|prove-forgotten|fetch`.

mod export;
mod fetch;
mod flips;
mod forgotten;
mod record;
mod segments;
mod verify;

use clap::Subcommand;

use super::{
    errors::UsageError,
    output::{RowPrinter, Tabular},
    source::Reading,
};
use crate::{
    api::{
        Call as _, FlipsRequest, ForgottenRequest, OfNode, RecordFilter, SearchRequest,
        SegmentsRequest, VerifyRequest,
    },
    cli::note::{note, print_lacks},
    clock::{Clock as _, SystemClock},
};

#[derive(Subcommand)]
pub(super) enum Log {
    /// Print the records that match, newest first
    Search(Tabular<SearchRequest>),
    /// Print records that match as they are written, from now on, until interrupted
    Tail(Tabular<RecordFilter>),
    /// Copy the records that match to a file: Parquet, CSV or NDJSON, plain or encrypted
    Export(export::Export),
    /// Print the handles whose route went back and forth, most often first, and the likely cause
    Flips(Tabular<FlipsRequest>),
    /// List the hours of the log: state, records, bytes, and when each is destroyed
    Segments(Tabular<SegmentsRequest>),
    /// Read every segment and say what is damaged, missing or overdue; exit 1 if anything is
    Verify(Tabular<VerifyRequest>),
    /// Look for keys, files and readable records older than the retention; exit 1 if there is one
    ProveForgotten(Reading<ForgottenRequest>),
    /// Bring back from the object store what a stopped server's log lacks or cannot read; exit 1 if not all can be
    Fetch(fetch::Fetch),
}

impl Log {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Search(search) => search_records(&search),
            Self::Tail(tail) => tail_records(&tail),
            Self::Export(export) => export.run(),
            Self::Flips(flips) => flips::run(&flips),
            Self::Segments(segments) => segments::run(&segments),
            Self::Verify(verify) => verify::run(&verify),
            Self::ProveForgotten(forgotten) => forgotten::run(&forgotten),
            Self::Fetch(fetch) => fetch.run(),
        }
    }
}

fn search_records(search: &Tabular<SearchRequest>) -> anyhow::Result<()> {
    let mut printer = RowPrinter::stdout(search.form());
    let Reading { request, source, .. } = &search.reading;
    let outcome = source.rows(request, |row| {
        let (row, node) = row.into_parts();
        Ok(printer.print(&OfNode { row, node })?)
    })?;
    printer.flush()?;
    // An answer that lacks a node does not tell that there is nothing.
    let lacks = outcome.as_ref().map_or(Ok(()), print_lacks);
    if printer.printed == 0 && lacks.is_ok() {
        note!("dispatchd: no record matches");
    }
    lacks
}

fn tail_records(tail: &Tabular<RecordFilter>) -> anyhow::Result<()> {
    let mut printer = RowPrinter::stdout(tail.form());
    let Reading { request, source, .. } = &tail.reading;
    must_be_ahead(request)?;
    source.follow(request, |row| {
        let (row, node) = row.into_parts();
        printer.print(&OfNode { row, node })?;
        Ok(printer.flush()?)
    })
}

/// Refuses a tail that would wait for ever, and says so if a part of its window is past.
fn must_be_ahead(filter: &RecordFilter) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let (since, until) = filter.window(now)?;
    let past = "is past, and a tail begins now: `dispatchd log search` reads what was recorded";
    if let Some(until) = until.filter(|until| *until <= now) {
        return Err(UsageError(format!("until: {until} {past}")).into());
    }
    if let Some(since) = since.filter(|since| *since < now) {
        note!("dispatchd: since: {since} {past}");
    }
    Ok(())
}

//! `dispatchd log search|tail|export|flips|segments|verify|prove-forgotten`.

mod export;
mod flips;
mod forgotten;
mod segments;
mod verify;

use clap::Subcommand;

use super::{
    output::RowPrinter,
    source::{Reading, print_passed_over},
};
use crate::api::{
    FlipsRequest, ForgottenRequest, RecordFilter, SearchRequest, SegmentsRequest, VerifyRequest,
};
use crate::cli::note::note;

#[derive(Subcommand)]
pub(super) enum Log {
    /// Print the records that match, newest first
    Search(Reading<SearchRequest>),
    /// Print records that match as they are written, until interrupted
    Tail(Reading<RecordFilter>),
    /// Copy the records that match to a file: Parquet, CSV or NDJSON, plain or encrypted
    Export(export::Export),
    /// Print the handles whose route went back and forth, most often first, and the likely cause
    Flips(Reading<FlipsRequest>),
    /// List the hours of the log: state, records, bytes, when each is destroyed
    Segments(Reading<SegmentsRequest>),
    /// Read every segment and say what is damaged, missing or overdue; exit 1 if anything is
    Verify(Reading<VerifyRequest>),
    /// Look for keys, files and readable records older than the retention; exit 1 if there is one
    ProveForgotten(Reading<ForgottenRequest>),
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
        }
    }
}

fn search_records(search: &Reading<SearchRequest>) -> anyhow::Result<()> {
    let mut printer = RowPrinter::stdout(search.json);
    let outcome = search.source.rows(&search.request, |row| Ok(printer.print(&row)?))?;
    printer.flush()?;
    if printer.printed == 0 {
        note!("dispatchd: no record matches");
    }
    outcome.into_iter().for_each(print_passed_over);
    Ok(())
}

fn tail_records(tail: &Reading<RecordFilter>) -> anyhow::Result<()> {
    let mut printer = RowPrinter::stdout(tail.json);
    tail.source.follow(&tail.request, |row| {
        printer.print(&row)?;
        Ok(printer.flush()?)
    })
}

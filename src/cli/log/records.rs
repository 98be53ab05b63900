//! `dispatchd log search|tail`.

use crate::{
    api::{RecordFilter, SearchRequest},
    cli::{
        output::RecordPrinter,
        reading::{Reading, print_passed_over},
    },
};

pub(super) fn search(search: &Reading<SearchRequest>) -> anyhow::Result<()> {
    let mut printer = RecordPrinter::stdout(search.json);
    let outcome = search.source.rows(&search.request, &mut |row| printer.print(&row))?;
    printer.flush()?;
    if printer.printed == 0 {
        eprintln!("dispatchd: no record matches");
    }
    outcome.into_iter().for_each(print_passed_over);
    Ok(())
}

pub(super) fn tail(tail: &Reading<RecordFilter>) -> anyhow::Result<()> {
    let mut printer = RecordPrinter::stdout(tail.json);
    tail.source.follow(&tail.request, &mut |row| {
        printer.print(&row)?;
        Ok(printer.flush()?)
    })
}

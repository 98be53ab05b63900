//! Rows as CSV (RFC 4180, UTF-8).

use std::{
    fmt::{self, Write as _},
    io,
};

use super::{
    cell::{Cell, ColumnHead},
    output::Output,
};

/// Written before text that a spreadsheet could take for a formula or a number.
const GUARD: char = '\'';

/// The text of a cell without the guard, if it has one. A guard is never before a letter or a digit.
pub(super) fn unguarded(cell: &str) -> &str {
    let is_guarded = |rest: &&str| !rest.is_empty() && !rest.starts_with(char::is_alphanumeric);
    cell.strip_prefix(GUARD).filter(is_guarded).unwrap_or(cell)
}

pub(super) struct CsvTable {
    writer: csv::Writer<Output>,
    for_spreadsheet: bool,
    text: String,
}

impl CsvTable {
    pub(super) fn new(
        output: Output,
        columns: &[ColumnHead],
        for_spreadsheet: bool,
    ) -> io::Result<Self> {
        let terminator =
            if for_spreadsheet { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(output);
        writer.write_record(columns.iter().map(|column| column.name)).map_err(io_error)?;
        Ok(Self { writer, for_spreadsheet, text: String::new() })
    }

    pub(super) fn write<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        for cell in cells {
            self.text.clear();
            self.write_text(&cell).expect("a string takes any text");
            self.writer.write_field(&self.text).map_err(io_error)?;
        }
        // An empty record ends the line.
        self.writer.write_record(None::<&[u8]>).map_err(io_error)
    }

    pub(super) fn finish(self) -> io::Result<Output> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }

    fn write_text(&mut self, cell: &Cell<'_>) -> fmt::Result {
        let text = &mut self.text;
        match cell {
            Cell::Null => Ok(()),
            Cell::Instant(at) => write!(text, "{at}"),
            Cell::Number(number) => write!(text, "{number}"),
            Cell::Flag(flag) => write!(text, "{flag}"),
            Cell::Text(value) => text.write_str(value),
            Cell::Shown(value) => write!(text, "{value}"),
            Cell::Handle(handle) => {
                let handle = handle.canonical();
                self.write_guarded(&handle)
            }
            Cell::Name(name) => self.write_guarded(name),
        }
    }

    /// Writes text that strangers chose, so that [`unguarded`] gives it back. Some spreadsheets take full-width plus and
    /// equals signs for formulas, too. So for them everything is guarded that does not begin with a letter or a digit.
    fn write_guarded(&mut self, text: &str) -> fmt::Result {
        let is_safe = text.starts_with(char::is_alphanumeric) || text.is_empty();
        if (self.for_spreadsheet && !is_safe) || text.starts_with(GUARD) {
            self.text.push(GUARD);
        }
        self.text.write_str(text)
    }
}

/// The error of the output itself: a pipe that is closed must be seen as one.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => cause,
        other => io::Error::other(format!("{other:?}")),
    }
}

//! Rows as CSV (RFC 4180, UTF-8).

use std::{
    fmt::{self, Write as _},
    io,
};

use super::{
    cell::{Cell, ColumnHead},
    output::Output,
};

/// Written before a handle that a spreadsheet could take for a formula or a number.
const GUARD: char = '\'';

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
        writer.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { writer, for_spreadsheet, text: String::new() })
    }

    pub(super) fn write<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        for cell in cells {
            self.text.clear();
            self.write_text(&cell).expect("a string takes any text");
            self.writer.write_field(&self.text)?;
        }
        // An empty record ends the line.
        Ok(self.writer.write_record(None::<&[u8]>)?)
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
                // Some spreadsheets take full-width plus and equals signs for formulas, too. So everything is guarded
                // that does not begin with a letter or a digit.
                let is_safe = handle.starts_with(char::is_alphanumeric);
                if self.for_spreadsheet && !is_safe {
                    text.push(GUARD);
                }
                text.write_str(&handle)
            }
        }
    }
}

//! Rows as CSV (RFC 4180, UTF-8), safe to open in a spreadsheet.

use std::{fmt::Write as _, io};

use super::{
    columns::{Cell, Column},
    encryption::Output,
};
use crate::query_log::LogRow;

/// Written before a handle that a spreadsheet could take for a formula or a number.
const GUARD: char = '\'';

/// Writes rows behind a header.
pub(super) struct CsvRows {
    writer: csv::Writer<Output>,
    text: String,
}

impl CsvRows {
    pub(super) fn new(output: Output) -> io::Result<Self> {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(output);
        writer.write_record(Column::ALL.map(Column::name))?;
        Ok(Self { writer, text: String::new() })
    }

    pub(super) fn write(&mut self, row: &LogRow) -> io::Result<()> {
        for column in Column::ALL {
            self.text.clear();
            write_cell(&mut self.text, &column.of(row));
            self.writer.write_field(&self.text)?;
        }
        // An empty record ends the line.
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Output> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

fn write_cell(text: &mut String, cell: &Cell<'_>) {
    let written = match cell {
        Cell::Null => Ok(()),
        Cell::Time(at) => write!(text, "{at}"),
        Cell::Number(number) => write!(text, "{number}"),
        Cell::Code(code) => text.write_str(code),
        Cell::Shown(value) => write!(text, "{value}"),
        Cell::Handle(handle) => {
            let handle = handle.canonical();
            // Some spreadsheets take full-width plus and equals signs for formulas, too. So everything is guarded that does
            // not begin with a letter or a digit.
            if !handle.starts_with(char::is_alphanumeric) {
                text.push(GUARD);
            }
            text.write_str(&handle)
        }
    };
    written.expect("a text takes any text");
}

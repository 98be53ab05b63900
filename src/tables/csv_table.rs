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

/// Who reads the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CsvReader {
    /// An import: handles stay as they are.
    Import,
    /// A spreadsheet: handles are guarded, and lines end with CR LF.
    Spreadsheet,
}

/// Writes rows after a header.
pub(super) struct CsvTable {
    writer: csv::Writer<Output>,
    reader: CsvReader,
    text: String,
}

impl CsvTable {
    pub(super) fn new(
        output: Output,
        columns: &[ColumnHead],
        reader: CsvReader,
    ) -> io::Result<Self> {
        let terminator = match reader {
            CsvReader::Import => csv::Terminator::Any(b'\n'),
            CsvReader::Spreadsheet => csv::Terminator::CRLF,
        };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(output);
        writer.write_record(columns.iter().map(|column| column.name))?;
        Ok(Self { writer, reader, text: String::new() })
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
                if self.reader == CsvReader::Spreadsheet && !is_safe {
                    text.push(GUARD);
                }
                text.write_str(&handle)
            }
        }
    }
}

//! A file of the log's rows.

use std::path::Path;

use super::{columns::Column, format::Format};
use crate::{
    query_log::LogRow,
    tables::{
        csv_table::CsvReader,
        error::ExportError,
        output::Recipients,
        table_file::{TableFile, TableFormat},
    },
};

/// A file being exported. It appears under its name only when [`ExportFile::finish`] has completed it; dropped before, it
/// leaves nothing. Only its owner can read it (mode 0600). It does not expire.
pub struct ExportFile {
    rows: TableFile,
    records: u64,
}

impl ExportFile {
    /// Begins a file that will be at `path`; if there are recipients, encrypted to them.
    ///
    /// # Errors
    /// If it cannot be made, or another process is making it.
    pub fn create(
        path: &Path,
        format: Format,
        recipients: Option<&Recipients>,
    ) -> Result<Self, ExportError> {
        let format = match format {
            Format::Parquet => TableFormat::Parquet,
            Format::Csv => TableFormat::Csv(CsvReader::Spreadsheet),
            Format::Ndjson => TableFormat::Lines,
        };
        let columns = Column::ALL.map(Column::head);
        Ok(Self { rows: TableFile::create(path, format, &columns, recipients)?, records: 0 })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If it cannot be written. Then the file cannot be finished.
    pub fn write(&mut self, row: &LogRow) -> Result<(), ExportError> {
        self.records += 1;
        let cells = Column::ALL.iter().map(|column| column.of(row));
        self.rows.write(cells, |line| row.write_json(line))
    }

    /// Rows so far.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Makes the file durable and gives it its name, replacing what has it. A file without rows is valid, too.
    ///
    /// # Errors
    /// If it cannot be written to the end.
    pub fn finish(self) -> Result<(), ExportError> {
        self.rows.finish()
    }
}

//! A file or a stream of the log's rows.

use std::path::Path;

use clap::ValueEnum;

use super::columns::COLUMNS;
use crate::{
    query_log::LogRow,
    tables::{
        output::{Recipients, Target},
        table_file::{ExportError, TableFile, TableFormat},
    },
};

/// The form of an export's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Typed columns, for DuckDB, pyarrow, pandas
    Parquet,
    /// For spreadsheets; a handle has an apostrophe before its +
    Csv,
    /// The rows as the API gives them
    Ndjson,
}

impl Format {
    /// From the file name's extension, in either case; a trailing `.age` is ignored. None for any other extension.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".age").unwrap_or(&name);
        match Path::new(name).extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    const fn table(self) -> TableFormat {
        match self {
            Self::Parquet => TableFormat::Parquet,
            Self::Csv => TableFormat::Csv { for_spreadsheet: true },
            Self::Ndjson => TableFormat::Lines,
        }
    }
}

/// A file being exported. It appears under its name only when [`ExportFile::finish`] has completed it; dropped before, it
/// leaves nothing. Only its owner can read it (mode 0600). It does not expire.
pub struct ExportFile {
    rows: TableFile,
    records: u64,
}

impl ExportFile {
    /// Begins an export to `target`; if there are recipients, encrypted to them.
    pub fn create(
        target: &Target,
        format: Format,
        recipients: Option<&Recipients>,
    ) -> Result<Self, ExportError> {
        let heads = COLUMNS.map(|column| column.head);
        Ok(Self {
            rows: TableFile::create(target, format.table(), &heads, recipients)?,
            records: 0,
        })
    }

    /// Appends a row.
    pub fn write(&mut self, row: &LogRow) -> Result<(), ExportError> {
        self.records += 1;
        let cells = COLUMNS.iter().map(|column| (column.cell)(row));
        self.rows.write(cells, |line| row.write_json(line))
    }

    /// Rows so far.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Writes what is left. Makes a file durable and gives it its name, replacing what has it. An export without rows is
    /// valid, too.
    pub fn finish(self) -> Result<(), ExportError> {
        self.rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let of = |name: &str| Format::of(Path::new(name));
        assert_eq!(of("a/log.parquet"), Some(Format::Parquet));
        assert_eq!(of("log.old.CSV.Age"), Some(Format::Csv));
        assert_eq!(of("log.ndjson.age"), Some(Format::Ndjson));
        for nothing in
            ["log", "csv", "log.age", "log.csv.gz", "log.json", ".csv", ".csv.age", "log.age.age"]
        {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}

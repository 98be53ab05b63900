//! A file or a stream of the log's rows.

use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;

use super::columns::{COLUMNS, NODE};
use crate::{
    query_log::LogRow,
    tables::{
        cell::Cell,
        output::{Recipients, Target},
        table_file::{ExportError, OpenTarget, TableFile, TableFormat},
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
    /// Until the first row or the end, which tells whether there is a column for the node.
    open: Option<OpenTarget>,
    rows: Option<TableFile>,
    format: Format,
    records: u64,
}

/// A line of an export in a cluster.
#[derive(Serialize)]
struct OfNode<'a> {
    #[serde(flatten)]
    row: &'a LogRow,
    node: &'a str,
}

impl ExportFile {
    /// Begins an export to `target`; if there are recipients, encrypted to them.
    pub fn create(
        target: &Target,
        format: Format,
        recipients: Option<&Recipients>,
    ) -> Result<Self, ExportError> {
        let open = Some(OpenTarget::open(target, recipients)?);
        Ok(Self { open, rows: None, format, records: 0 })
    }

    /// Appends a row, with the name of its node in a cluster: of each row, or of none. After an error, drop the export.
    ///
    /// # Panics
    /// Never: a row is made of texts and numbers, which have a JSON form, and a vector takes every byte.
    pub fn write(&mut self, row: &LogRow, node: Option<&str>) -> Result<(), ExportError> {
        self.begin(node.is_some())?;
        self.records += 1;
        let cells = COLUMNS.iter().map(|column| (column.cell)(row)).chain(node.map(Cell::Name));
        let Some(rows) = &mut self.rows else { return Ok(()) };
        rows.write(cells, |line| match node {
            None => row.write_json(line),
            Some(node) => serde_json::to_writer(line, &OfNode { row, node })
                .expect("a row has a JSON form, and a vector takes it"),
        })
    }

    fn begin(&mut self, has_node: bool) -> Result<(), ExportError> {
        if let Some(open) = self.open.take() {
            let mut heads: Vec<_> = COLUMNS.into_iter().map(|column| column.head).collect();
            heads.extend(has_node.then_some(NODE));
            self.rows = Some(open.begin(self.format.table(), &heads)?);
        }
        Ok(())
    }

    /// Rows so far.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Writes what is left. Makes a file durable and gives it its name, replacing what has it. An export without rows is
    /// valid, too; `is_gathered` gives it the column for the node.
    pub fn finish(mut self, is_gathered: bool) -> Result<(), ExportError> {
        self.begin(is_gathered)?;
        self.rows.map_or(Ok(()), TableFile::finish)
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

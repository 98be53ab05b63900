//! A file of the log's rows.

use std::{
    error::Error,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use parquet::errors::ParquetError;

use super::{
    csv_rows::CsvRows,
    encryption::{Output, Recipients},
    error::ExportError,
    format::Format,
    parquet_rows::ParquetRows,
};
use crate::{files::AtomicFile, query_log::LogRow};

/// Bytes of NDJSON that are written at once.
pub(super) const NDJSON_BYTES: usize = 64 * 1024;

/// A file being exported. It appears under its name only when [`ExportFile::finish`] has completed it; dropped before, it
/// leaves nothing. Only its owner can read it (mode 0600). It does not expire.
pub struct ExportFile {
    rows: Encoder,
    path: PathBuf,
    records: u64,
}

enum Encoder {
    // Boxed: their encoders are large.
    Parquet(Box<ParquetRows>),
    Csv(Box<CsvRows>),
    Ndjson { output: Output, lines: Vec<u8> },
}

/// A fault of a lower layer, which does not know the file's path.
enum Fault {
    Write(io::Error),
    Parquet(Box<dyn Error + Send + Sync>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error.into())
    }
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
        let rows = begin(path, format, recipients).map_err(|fault| fault.at(path))?;
        Ok(Self { rows, path: path.to_owned(), records: 0 })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If it cannot be written. Then the file cannot be finished.
    pub fn write(&mut self, row: &LogRow) -> Result<(), ExportError> {
        self.records += 1;
        self.rows.write(row).map_err(|fault| fault.at(&self.path))
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
        self.rows.finish().map_err(|fault| fault.at(&self.path))
    }
}

fn begin(path: &Path, format: Format, recipients: Option<&Recipients>) -> Result<Encoder, Fault> {
    let output = Output::new(AtomicFile::create(path)?, recipients)?;
    Ok(match format {
        Format::Parquet => Encoder::Parquet(Box::new(ParquetRows::new(output)?)),
        Format::Csv => Encoder::Csv(Box::new(CsvRows::new(output)?)),
        Format::Ndjson => {
            Encoder::Ndjson { output, lines: Vec::with_capacity(NDJSON_BYTES + 1024) }
        }
    })
}

impl Encoder {
    fn write(&mut self, row: &LogRow) -> Result<(), Fault> {
        match self {
            Self::Parquet(rows) => Ok(rows.write(row)?),
            Self::Csv(rows) => Ok(rows.write(row)?),
            Self::Ndjson { output, lines } => {
                row.write_json(lines);
                lines.push(b'\n');
                if lines.len() >= NDJSON_BYTES {
                    output.write_all(lines)?;
                    lines.clear();
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<(), Fault> {
        let output = match self {
            Self::Parquet(rows) => rows.finish()?,
            Self::Csv(rows) => rows.finish()?,
            Self::Ndjson { mut output, lines } => {
                output.write_all(&lines)?;
                output
            }
        };
        Ok(output.finish()?)
    }
}

impl Fault {
    fn at(self, path: &Path) -> ExportError {
        let path = path.to_owned();
        match self {
            Self::Write(source) => ExportError::Write { path, source },
            Self::Parquet(source) => ExportError::Parquet { path, source },
        }
    }
}

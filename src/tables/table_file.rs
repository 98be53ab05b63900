//! [`TableFile`]: a file of rows in any format, plain or encrypted.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    cell::{Cell, ColumnHead},
    csv_table::CsvTable,
    output::{Output, Recipients},
    parquet_table::ParquetTable,
};
use crate::files::AtomicFile;

/// Why an export failed. No file was created, and an older file of the same name is unchanged. The error contains no
/// content of a row.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}", path.display())]
pub struct ExportError {
    /// The file of the export.
    pub path: PathBuf,
    /// The I/O error, or the error of the Parquet encoder.
    pub source: io::Error,
}

pub(super) enum TableFormat {
    /// For a spreadsheet, handles are guarded and lines end with CR LF.
    Csv {
        for_spreadsheet: bool,
    },
    Parquet,
    /// Lines of any text.
    Lines,
}

/// A file of rows, with mode 0600. It appears at its path only after [`TableFile::finish`]; if dropped before, it leaves
/// no file.
pub(super) struct TableFile {
    encoder: Encoder,
    path: PathBuf,
}

enum Encoder {
    // Boxed, since both encoders are large.
    Csv(Box<CsvTable>),
    Parquet(Box<ParquetTable>),
    Lines { output: Output, line: Vec<u8> },
}

impl TableFile {
    /// Begins a file that will be at `path`; with recipients, it is encrypted to them.
    pub(super) fn create(
        path: &Path,
        format: TableFormat,
        columns: &[ColumnHead],
        recipients: Option<&Recipients>,
    ) -> Result<Self, ExportError> {
        let encoder = || -> io::Result<Encoder> {
            let output = Output::new(AtomicFile::create(path)?, recipients)?;
            Ok(match format {
                TableFormat::Csv { for_spreadsheet } => {
                    Encoder::Csv(Box::new(CsvTable::new(output, columns, for_spreadsheet)?))
                }
                TableFormat::Parquet => {
                    Encoder::Parquet(Box::new(ParquetTable::new(output, columns)?))
                }
                TableFormat::Lines => Encoder::Lines { output, line: Vec::new() },
            })
        };
        let path = path.to_owned();
        match encoder() {
            Ok(encoder) => Ok(Self { encoder, path }),
            Err(source) => Err(ExportError { path, source }),
        }
    }

    /// Appends a row: its `cells`, or `line` to a file of lines. After an error, the file cannot be continued.
    pub(super) fn write<'a>(
        &mut self,
        cells: impl Iterator<Item = Cell<'a>>,
        line: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), ExportError> {
        let written = match &mut self.encoder {
            Encoder::Csv(csv) => csv.write(cells),
            Encoder::Parquet(parquet) => parquet.write(cells),
            Encoder::Lines { output, line: bytes } => {
                bytes.clear();
                line(bytes);
                bytes.push(b'\n');
                output.write_all(bytes)
            }
        };
        written.map_err(|source| ExportError { path: self.path.clone(), source })
    }

    /// Makes the file durable and moves it to its path, replacing an older file.
    pub(super) fn finish(self) -> Result<(), ExportError> {
        let output = match self.encoder {
            Encoder::Csv(csv) => csv.finish(),
            Encoder::Parquet(parquet) => parquet.finish(),
            Encoder::Lines { output, .. } => Ok(output),
        };
        let finished = output.and_then(Output::finish);
        finished.map_err(|source| ExportError { path: self.path, source })
    }
}

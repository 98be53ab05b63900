//! [`TableFile`]: a file or a stream of rows in any format, plain or encrypted.

use std::io::{self, Write as _};

use super::{
    cell::{Cell, ColumnHead},
    csv_table::CsvTable,
    output::{Output, Recipients, Target},
    parquet_table::ParquetTable,
};

/// Why an export failed. No file was created, and an older file of the same name is unchanged; a stream has part of the
/// export. The error contains no content of a row.
#[derive(Debug, thiserror::Error)]
#[error("{target}: cannot be written: {source}")]
pub struct ExportError {
    /// Where the export was to go.
    pub target: Target,
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
/// no file. Or a stream of the same bytes.
pub(super) struct TableFile {
    encoder: Encoder,
    target: Target,
}

enum Encoder {
    // Boxed, since both encoders are large.
    Csv(Box<CsvTable>),
    Parquet(Box<ParquetTable>),
    Lines { output: Output, line: Vec<u8> },
}

/// The place of an export whose columns are not known yet.
pub(super) struct OpenTarget {
    output: Output,
    target: Target,
}

impl OpenTarget {
    /// Opens `target`; with recipients, the export is encrypted to them.
    pub(super) fn open(
        target: &Target,
        recipients: Option<&Recipients>,
    ) -> Result<Self, ExportError> {
        let target = target.clone();
        match Output::create(&target, recipients) {
            Ok(output) => Ok(Self { output, target }),
            Err(source) => Err(ExportError { target, source }),
        }
    }

    /// Begins the export.
    pub(super) fn begin(
        self,
        format: TableFormat,
        columns: &[ColumnHead],
    ) -> Result<TableFile, ExportError> {
        let Self { output, target } = self;
        let begin = || -> io::Result<Encoder> {
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
        match begin() {
            Ok(encoder) => Ok(TableFile { encoder, target }),
            Err(source) => Err(ExportError { target, source }),
        }
    }
}

impl TableFile {
    /// Begins an export to `target`; with recipients, it is encrypted to them.
    pub(super) fn create(
        target: &Target,
        format: TableFormat,
        columns: &[ColumnHead],
        recipients: Option<&Recipients>,
    ) -> Result<Self, ExportError> {
        OpenTarget::open(target, recipients)?.begin(format, columns)
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
        written.map_err(|source| ExportError { target: self.target.clone(), source })
    }

    /// Writes what is left. Makes a file durable and moves it to its path, replacing an older file.
    pub(super) fn finish(self) -> Result<(), ExportError> {
        let output = match self.encoder {
            Encoder::Csv(csv) => csv.finish(),
            Encoder::Parquet(parquet) => parquet.finish(),
            Encoder::Lines { output, .. } => Ok(output),
        };
        let finished = output.and_then(Output::finish);
        finished.map_err(|source| ExportError { target: self.target, source })
    }
}

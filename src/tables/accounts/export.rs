//! Writes accounts to a file that an import can read.

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use crate::{files::AtomicFile, registry::TransferAccount};

use super::{
    error::ExportError, export_csv::CsvExport, export_parquet::ParquetExport, export_row::rows,
    kind::FileKind,
};

/// Writes an export. The file appears at its path only after [`ExportWriter::finish`]; if the writer is dropped before, no
/// file remains.
///
/// The file contains all handles, so it has mode 0600. Phone numbers begin with `+`, which a spreadsheet may read as a
/// formula; the export does not change them.
pub struct ExportWriter {
    rows: Encoder,
    path: PathBuf,
}

enum Encoder {
    // Boxed, since both encoders are large.
    Csv(Box<CsvExport>),
    Parquet(Box<ParquetExport>),
}

impl ExportWriter {
    /// Begins an export to `path`, in the format `kind`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(path: &Path, kind: FileKind) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Write { path: path.to_owned(), source };
        let fresh = AtomicFile::create(path).map_err(failed)?;
        let output = BufWriter::new(fresh);
        let rows = match kind {
            FileKind::Csv => Encoder::Csv(Box::new(CsvExport::new(output).map_err(failed)?)),
            FileKind::Parquet => Encoder::Parquet(Box::new(
                ParquetExport::new(output).map_err(|error| ExportError::Parquet(error.into()))?,
            )),
        };
        Ok(Self { rows, path: path.to_owned() })
    }

    /// Appends the rows of an account.
    ///
    /// # Errors
    /// If they cannot be written. The export cannot be continued then.
    pub fn write(&mut self, account: &TransferAccount) -> Result<(), ExportError> {
        let path = &self.path;
        let failed = |source| ExportError::Write { path: path.clone(), source };
        rows(account).try_for_each(|row| match &mut self.rows {
            Encoder::Csv(csv) => csv.write(&row).map_err(failed),
            Encoder::Parquet(parquet) => {
                parquet.write(&row).map_err(|error| ExportError::Parquet(error.into()))
            }
        })
    }

    /// Makes the file durable and moves it to its path, replacing an older file.
    ///
    /// # Errors
    /// If the file cannot be completed.
    pub fn finish(self) -> Result<(), ExportError> {
        let path = self.path;
        let failed = |source| ExportError::Write { path: path.clone(), source };
        let output = match self.rows {
            Encoder::Csv(csv) => csv.finish().map_err(failed)?,
            Encoder::Parquet(parquet) => {
                parquet.finish().map_err(|error| ExportError::Parquet(error.into()))?
            }
        };
        let output = output.into_inner().map_err(|error| failed(error.into_error()))?;
        output.keep().map_err(failed)
    }
}

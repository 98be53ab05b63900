//! Accounts, to a file that an import can read.

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use crate::{
    files::AtomicFile,
    ids::{AccountId, DeviceId},
    registry::{TransferAccount, TransferClaim, TransferDevice},
};

use super::{
    error::ExportError, export_csv::CsvExport, export_parquet::ParquetExport, kind::FileKind,
};

/// A file being exported. It has its name, and is there at all, only after [`ExportWriter::finish`]; dropped before, it
/// leaves nothing.
///
/// Whoever reads the file reads everybody's handles: it has mode 0600, and what happens to it then is its owner's
/// matter. A CSV cell of a handle begins with `+`, which a spreadsheet may take for a formula; it is not altered.
pub struct ExportWriter {
    rows: Encoder,
    path: PathBuf,
}

enum Encoder {
    // Boxed: their encoders are large.
    Csv(Box<CsvExport>),
    Parquet(Box<ParquetExport>),
}

/// One row of an export: a device, and a handle that it backs if there is one.
pub(super) struct ExportRow<'a> {
    pub(super) account: AccountId,
    pub(super) device: &'a TransferDevice,
    pub(super) claim: Option<&'a TransferClaim>,
}

/// Where an encoder writes to.
pub(super) type Output = BufWriter<AtomicFile>;

impl ExportWriter {
    /// Begins a file that will be at `path`, in the format `kind`.
    ///
    /// # Errors
    /// If it cannot be made.
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

    /// Appends an account: a row for each handle and device that backs it, and one for each device that backs nothing.
    ///
    /// # Errors
    /// If it cannot be written. Then the file cannot be finished.
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

    /// Makes the file durable and gives it its name, replacing what has it.
    ///
    /// # Errors
    /// If it cannot be written to the end.
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

fn rows(account: &TransferAccount) -> impl Iterator<Item = ExportRow<'_>> {
    let id = account.account;
    let device = |wanted: DeviceId| account.devices.iter().find(move |d| d.device == wanted);
    let backed = account.claims.iter().flat_map(move |claim| {
        let devices = claim.devices.iter().filter_map(move |wanted| device(*wanted));
        devices.map(move |device| ExportRow { account: id, device, claim: Some(claim) })
    });
    let backs =
        |device: DeviceId| account.claims.iter().any(move |claim| claim.devices.contains(&device));
    let alone = account.devices.iter().filter(move |device| !backs(device.device));
    backed.chain(alone.map(move |device| ExportRow { account: id, device, claim: None }))
}

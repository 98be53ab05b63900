//! Writes accounts to a file that an import can read.

use std::{borrow::Cow, path::Path};

use super::{columns::Column, kind::FileKind};
use crate::{
    ids::{AccountId, DeviceId},
    registry::{TransferAccount, TransferClaim, TransferDevice},
    tables::{
        cell::Cell,
        csv_table::CsvReader,
        error::ExportError,
        table_file::{TableFile, TableFormat},
    },
};

/// Writes an export. The file appears at its path only after [`ExportWriter::finish`]; if the writer is dropped before, no
/// file remains.
///
/// The file contains all handles, so it has mode 0600. Phone numbers begin with `+`, which a spreadsheet may read as a
/// formula; the export does not change them.
pub struct ExportWriter(TableFile);

impl ExportWriter {
    /// Begins an export to `path`, in the format `kind`.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(path: &Path, kind: FileKind) -> Result<Self, ExportError> {
        let format = match kind {
            FileKind::Csv => TableFormat::Csv(CsvReader::Import),
            FileKind::Parquet => TableFormat::Parquet,
        };
        TableFile::create(path, format, &Column::ALL.map(Column::head), None).map(Self)
    }

    /// Appends the rows of an account.
    ///
    /// # Errors
    /// If they cannot be written. The export cannot be continued then.
    pub fn write(&mut self, account: &TransferAccount) -> Result<(), ExportError> {
        rows(account).try_for_each(|row| {
            self.0.write(Column::ALL.iter().map(|column| row.cell(*column)), |_| ())
        })
    }

    /// Makes the file durable and moves it to its path, replacing an older file.
    ///
    /// # Errors
    /// If the file cannot be completed.
    pub fn finish(self) -> Result<(), ExportError> {
        self.0.finish()
    }
}

/// One row of an export: a device, and one of the handles that it backs.
struct ExportRow<'a> {
    account: AccountId,
    device: &'a TransferDevice,
    /// None for a device that backs no handle.
    claim: Option<&'a TransferClaim>,
}

impl ExportRow<'_> {
    fn cell(&self, column: Column) -> Cell<'_> {
        let (device, claim) = (self.device, self.claim);
        let optional = |at: Option<_>| at.map_or(Cell::Null, Cell::Instant);
        match column {
            Column::Handle => {
                claim.map_or(Cell::Text("".into()), |claim| Cell::Handle(&claim.handle))
            }
            Column::Account => Cell::Shown(&self.account),
            Column::Device => Cell::Shown(&device.device),
            Column::Platform => Cell::Text(device.platform.code().into()),
            Column::LastCheckInAt => Cell::Instant(device.last_check_in_at),
            Column::ProvedAt => optional(claim.and_then(|claim| claim.proved_at)),
            Column::RegisteredAt => optional(device.registered_at),
            Column::Discoverable => Cell::Flag(claim.is_none_or(|claim| claim.discoverable)),
            Column::Name => {
                device.name.as_deref().map_or(Cell::Null, |name| Cell::Text(Cow::Borrowed(name)))
            }
            Column::TokenHash => device.token_hash.map_or(Cell::Null, |hash| {
                Cell::Text(data_encoding::HEXLOWER.encode(&hash).into())
            }),
        }
    }
}

/// One row for each handle and device that backs it, and one for each device that backs no handle.
fn rows(account: &TransferAccount) -> impl Iterator<Item = ExportRow<'_>> {
    let id = account.account;
    let device = |wanted: DeviceId| account.devices.iter().find(move |d| d.device == wanted);
    let backing = account.claims.iter().flat_map(move |claim| {
        let devices = claim.devices.iter().filter_map(move |wanted| device(*wanted));
        devices.map(move |device| ExportRow { account: id, device, claim: Some(claim) })
    });
    let backs =
        |device: DeviceId| account.claims.iter().any(move |claim| claim.devices.contains(&device));
    let others = account.devices.iter().filter(move |device| !backs(device.device));
    backing.chain(others.map(move |device| ExportRow { account: id, device, claim: None }))
}

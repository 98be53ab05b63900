//! Writes accounts to a file that an import can read.

use super::{columns::Column, file_kind::FileKind};
use crate::{
    ids::{AccountId, DeviceId},
    registry::{TransferAccount, TransferClaim, TransferDevice},
    tables::{
        cell::Cell,
        output::Target,
        table_file::{ExportError, TableFile, TableFormat},
    },
};

/// Writes an export. The file appears at its path only after [`ExportWriter::finish`]; if the writer is dropped before, no
/// file remains.
///
/// The file contains all handles, so it has mode 0600.
pub struct ExportWriter(TableFile);

impl ExportWriter {
    /// Begins an export to `target`, in the format `kind`. In CSV `for_spreadsheet`, an apostrophe stands before a handle or a
    /// name that a spreadsheet would take for a number or a formula.
    pub fn create(
        target: &Target,
        kind: FileKind,
        for_spreadsheet: bool,
    ) -> Result<Self, ExportError> {
        let format = format(kind, for_spreadsheet);
        TableFile::create(target, format, &Column::ALL.map(Column::head), None).map(Self)
    }

    /// Appends the rows of an account.
    pub fn write(&mut self, account: &TransferAccount) -> Result<(), ExportError> {
        rows(account).try_for_each(|(device, claim)| {
            self.0.write(cells(&account.account, device, claim).into_iter(), |_| ())
        })
    }

    /// Writes what is left. Makes a file durable and moves it to its path, replacing an older file.
    pub fn finish(self) -> Result<(), ExportError> {
        self.0.finish()
    }
}

const fn format(kind: FileKind, for_spreadsheet: bool) -> TableFormat {
    match kind {
        FileKind::Csv => TableFormat::Csv { for_spreadsheet },
        FileKind::Parquet => TableFormat::Parquet,
    }
}

/// The cells of a row, in the order of [`Column::ALL`].
fn cells<'a>(
    account: &'a AccountId,
    device: &'a TransferDevice,
    claim: Option<&'a TransferClaim>,
) -> [Cell<'a>; Column::ALL.len()] {
    let instant = |at: Option<_>| at.map_or(Cell::Null, Cell::Instant);
    let token_hash = device.token_hash.map(|hash| data_encoding::HEXLOWER.encode(&hash));
    [
        claim.map_or(Cell::Text("".into()), |claim| Cell::Handle(&claim.handle)),
        Cell::Shown(account),
        Cell::Shown(&device.device),
        Cell::Text(device.platform.code().into()),
        Cell::Instant(device.last_check_in_at),
        instant(claim.and_then(|claim| claim.proved_at)),
        instant(device.registered_at),
        Cell::Flag(claim.is_none_or(|claim| claim.discoverable)),
        device.name.as_deref().map_or(Cell::Null, Cell::Name),
        token_hash.map_or(Cell::Null, |hash| Cell::Text(hash.into())),
    ]
}

/// One row for each handle and device that backs it, and one for each device that backs no handle.
fn rows(
    account: &TransferAccount,
) -> impl Iterator<Item = (&TransferDevice, Option<&TransferClaim>)> {
    let device = |wanted: DeviceId| account.devices.iter().find(move |d| d.device == wanted);
    let backing = account.claims.iter().flat_map(move |claim| {
        let devices = claim.devices.iter().filter_map(move |wanted| device(*wanted));
        devices.map(move |device| (device, Some(claim)))
    });
    let backs =
        |device: DeviceId| account.claims.iter().any(move |claim| claim.devices.contains(&device));
    let others = account.devices.iter().filter(move |device| !backs(device.device));
    backing.chain(others.map(|device| (device, None)))
}

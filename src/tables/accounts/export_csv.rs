//! An export as CSV.

use std::{fmt::Write as _, io};

use super::{
    columns::Column,
    export::{ExportRow, Output},
};

/// Writes rows behind a header.
pub(super) struct CsvExport {
    writer: csv::Writer<Output>,
    cell: String,
}

impl CsvExport {
    pub(super) fn new(output: Output) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(output);
        writer.write_record(Column::ALL.map(Column::name))?;
        Ok(Self { writer, cell: String::new() })
    }

    pub(super) fn write(&mut self, row: &ExportRow<'_>) -> io::Result<()> {
        for column in Column::ALL {
            self.cell.clear();
            write_cell(row, column, &mut self.cell);
            self.writer.write_field(&self.cell)?;
        }
        // An empty record ends the line.
        self.writer.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Output> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

fn write_cell(row: &ExportRow<'_>, column: Column, cell: &mut String) {
    let device = row.device;
    let written = match column {
        Column::Handle => {
            row.claim.map_or(Ok(()), |claim| cell.write_str(&claim.handle.canonical()))
        }
        Column::Account => write!(cell, "{}", row.account),
        Column::Device => write!(cell, "{}", device.device),
        Column::Platform => cell.write_str(device.platform.code()),
        Column::LastCheckInAt => write!(cell, "{}", device.last_check_in_at),
        Column::ProvedAt => write_some(cell, row.claim.and_then(|claim| claim.proved_at)),
        Column::RegisteredAt => write_some(cell, device.registered_at),
        Column::Discoverable => write!(cell, "{}", row.claim.is_none_or(|c| c.discoverable)),
        Column::Name => write_some(cell, device.name.as_deref()),
        Column::TokenHash => {
            write_some(cell, device.token_hash.map(|hash| data_encoding::HEXLOWER.encode(&hash)))
        }
    };
    written.expect("a text takes any text");
}

fn write_some(cell: &mut String, value: Option<impl std::fmt::Display>) -> std::fmt::Result {
    value.map_or(Ok(()), |value| write!(cell, "{value}"))
}

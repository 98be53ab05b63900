//! The CSV encoder of an export.

use std::io;

use super::{
    columns::Column,
    export_row::{ExportRow, Output, Value},
};

/// Writes a header and rows.
pub(super) struct CsvExport(csv::Writer<Output>);

impl CsvExport {
    pub(super) fn new(output: Output) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(output);
        writer.write_record(Column::ALL.map(Column::name))?;
        Ok(Self(writer))
    }

    pub(super) fn write(&mut self, row: &ExportRow<'_>) -> io::Result<()> {
        for column in Column::ALL {
            match row.value(column) {
                Value::Text(Some(text)) => self.0.write_field(&*text)?,
                Value::Instant(Some(at)) => self.0.write_field(at.to_string())?,
                Value::Flag(flag) => self.0.write_field(if flag { "true" } else { "false" })?,
                Value::Text(None) | Value::Instant(None) => self.0.write_field("")?,
            }
        }
        // An empty record ends the line.
        self.0.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Output> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

//! Writes one row group: its client table, then its columns.

use std::io;

use bytes::Bytes;
use parquet::{errors::ParquetError, file::writer::SerializedFileWriter};

use super::{
    clients::TableSize, column, column_writer::ColumnWriter, row::Row, sort_buffer::SortBuffer,
};
use crate::query_log::segment_error::SealError;

/// The position of a row group's client table, for the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Its offset in the file.
    pub(super) start: u64,
    pub(super) size: TableSize,
}

pub(super) struct Groups<'a, W: io::Write + Send> {
    pub(super) file: &'a mut SerializedFileWriter<W>,
    pub(super) page_rows: usize,
    pub(super) stop: &'a dyn Fn() -> bool,
}

impl<W: io::Write + Send> Groups<'_, W> {
    /// Writes the sorted rows of the buffer and clears it.
    pub(super) fn write(&mut self, buffer: &mut SortBuffer) -> Result<Table, SealError> {
        let start = self.file.bytes_written() as u64;
        let size = buffer.clients.write(|bytes| self.file.write_all(bytes))?;
        let texts = Bytes::from(std::mem::take(&mut buffer.texts));
        self.write_columns(&buffer.rows, &texts)?;
        buffer.clear();
        Ok(Table { start, size })
    }

    fn write_columns(&mut self, rows: &[Row], texts: &Bytes) -> Result<(), SealError> {
        let mut group = self.file.next_row_group()?;
        let (page_rows, stop) = (self.page_rows, self.stop);
        column::write(&mut ColumnWriter { group: &mut group, rows, page_rows, stop }, texts)?;
        group.close()?;
        Ok(())
    }
}

impl From<ParquetError> for SealError {
    fn from(error: ParquetError) -> Self {
        const UNFIT: SealError = SealError::Differs("its rows do not fit the format");
        match error {
            ParquetError::External(inner) => {
                inner.downcast().map_or(UNFIT, |error| Self::Io(*error))
            }
            _ => UNFIT,
        }
    }
}

//! Writes one row group: its client table, then its columns.

use std::io;

use bytes::Bytes;
use parquet::{
    data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::writer::{SerializedFileWriter, SerializedRowGroupWriter},
};

use super::{clients::TableSize, outcome, row::Row, sort_buffer::SortBuffer};
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
        let mut columns =
            Columns { group: &mut group, rows, page_rows: self.page_rows, stop: self.stop };
        columns.optional::<Int64Type>(|row| row.phone().map(u64::cast_signed))?;
        columns.optional::<ByteArrayType>(|row| {
            row.email().map(|range| ByteArray::from(texts.slice(range)))
        })?;
        columns.required::<Int32Type>(|row| row.at.cast_signed())?;
        let id = |row: &Row| row.id.cast_signed();
        columns.optional::<Int64Type>(|row| outcome::is_lookup(row.outcome).then(|| id(row)))?;
        columns.optional::<Int64Type>(|row| (!outcome::is_lookup(row.outcome)).then(|| id(row)))?;
        columns.required::<Int32Type>(|row| row.client.cast_signed())?;
        columns.required::<Int32Type>(|row| row.took_us.cast_signed())?;
        columns.required::<Int32Type>(|row| row.outcome.cast_signed())?;
        group.close()?;
        Ok(())
    }
}

/// Writes the columns of a row group, in the order of the schema.
struct Columns<'a, 'f, W: io::Write + Send> {
    group: &'a mut SerializedRowGroupWriter<'f, W>,
    rows: &'a [Row],
    page_rows: usize,
    stop: &'a dyn Fn() -> bool,
}

impl<W: io::Write + Send> Columns<'_, '_, W> {
    fn required<T: DataType>(&mut self, value: impl Fn(&Row) -> T::T) -> Result<(), SealError> {
        self.pages::<T>(|rows, values, _| values.extend(rows.iter().map(&value)))
    }

    fn optional<T: DataType>(
        &mut self,
        value: impl Fn(&Row) -> Option<T::T>,
    ) -> Result<(), SealError> {
        self.pages::<T>(|rows, values, levels| {
            for row in rows {
                let value = value(row);
                levels.push(i16::from(value.is_some()));
                values.extend(value);
            }
        })
    }

    /// Fills pages with values. Of an optional column it adds a level for each row: 1 if it has a value, else 0.
    fn pages<T: DataType>(
        &mut self,
        fill: impl Fn(&[Row], &mut Vec<T::T>, &mut Vec<i16>),
    ) -> Result<(), SealError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let missing = || ParquetError::General("the schema has too few columns".into());
        let mut column = self.group.next_column()?.ok_or_else(missing)?;
        for rows in self.rows.chunks(self.page_rows) {
            if (self.stop)() {
                return Err(SealError::Stopped);
            }
            values.clear();
            levels.clear();
            fill(rows, &mut values, &mut levels);
            let levels = (!levels.is_empty()).then_some(levels.as_slice());
            column.typed::<T>().write_batch(&values, levels, None)?;
        }
        column.close()?;
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

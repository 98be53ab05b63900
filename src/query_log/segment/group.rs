//! Writes one row group: its clients, then its columns.

use std::io;

use bytes::Bytes;
use parquet::{
    data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::writer::{SerializedFileWriter, SerializedRowGroupWriter},
};

use super::{clients::TableSize, error::WriteError, outcome, row::Row, sort_buffer::SortBuffer};

/// Where a row group's clients are, for the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// The offset in the file.
    pub(super) start: u64,
    pub(super) size: TableSize,
}

/// What writing a row group needs to know.
pub(super) struct Groups<'a, W: io::Write + Send> {
    pub(super) file: &'a mut SerializedFileWriter<W>,
    pub(super) page_rows: usize,
    pub(super) stop: &'a dyn Fn() -> bool,
}

/// Why a row group was not written.
enum GroupError {
    Stopped,
    Parquet(ParquetError),
}

impl From<ParquetError> for GroupError {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

impl<W: io::Write + Send> Groups<'_, W> {
    /// Writes the rows, which are sorted, and forgets them.
    pub(super) fn write<E>(&mut self, waiting: &mut SortBuffer) -> Result<Table, WriteError<E>> {
        let start = self.file.bytes_written() as u64;
        let size = waiting.clients.write(|bytes| self.file.write_all(bytes))?;
        let texts = Bytes::from(std::mem::take(&mut waiting.texts));
        let written = self.write_columns(&waiting.rows, &texts);
        waiting.clear();
        match written {
            Ok(()) => Ok(Table { start, size }),
            Err(GroupError::Stopped) => Err(WriteError::Stopped),
            Err(GroupError::Parquet(error)) => Err(error.into()),
        }
    }

    fn write_columns(&mut self, rows: &[Row], texts: &Bytes) -> Result<(), GroupError> {
        let mut group = self.file.next_row_group()?;
        let mut columns =
            Columns { group: &mut group, rows, page_rows: self.page_rows, stop: self.stop };
        columns.optional::<Int64Type>(|row| row.phone().map(u64::cast_signed))?;
        columns.optional::<ByteArrayType>(|row| {
            row.email().map(|range| ByteArray::from(texts.slice(range)))
        })?;
        columns.required::<Int32Type>(|row| row.at.cast_signed())?;
        let id = |row: &Row| row.id.cast_signed();
        columns.optional::<Int64Type>(|row| (!outcome::is_change(row.outcome)).then(|| id(row)))?;
        columns.optional::<Int64Type>(|row| outcome::is_change(row.outcome).then(|| id(row)))?;
        columns.required::<Int32Type>(|row| row.client.cast_signed())?;
        columns.required::<Int32Type>(|row| row.took_us.cast_signed())?;
        columns.required::<Int32Type>(|row| row.outcome.cast_signed())?;
        group.close()?;
        Ok(())
    }
}

/// The columns of a row group, to be written one after another in the order of the schema.
struct Columns<'a, 'f, W: io::Write + Send> {
    group: &'a mut SerializedRowGroupWriter<'f, W>,
    rows: &'a [Row],
    page_rows: usize,
    stop: &'a dyn Fn() -> bool,
}

impl<W: io::Write + Send> Columns<'_, '_, W> {
    fn required<T: DataType>(&mut self, value: impl Fn(&Row) -> T::T) -> Result<(), GroupError> {
        self.pages::<T>(|rows, values, _| values.extend(rows.iter().map(&value)))
    }

    fn optional<T: DataType>(
        &mut self,
        value: impl Fn(&Row) -> Option<T::T>,
    ) -> Result<(), GroupError> {
        self.pages::<T>(|rows, values, levels| {
            for row in rows {
                let value = value(row);
                levels.push(i16::from(value.is_some()));
                values.extend(value);
            }
        })
    }

    /// Fills pages with values and, of an optional column, with a level for each row: 1 if it has a value, 0 if not.
    fn pages<T: DataType>(
        &mut self,
        fill: impl Fn(&[Row], &mut Vec<T::T>, &mut Vec<i16>),
    ) -> Result<(), GroupError> {
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let missing = || ParquetError::General("the schema has fewer columns".into());
        let mut column = self.group.next_column()?.ok_or_else(missing)?;
        for rows in self.rows.chunks(self.page_rows) {
            if (self.stop)() {
                return Err(GroupError::Stopped);
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

//! Writes columns page by page: all of them have the same rows in a page.

use std::io;

use parquet::{
    data_type::{DataType, Int32Type},
    errors::ParquetError,
    file::writer::SerializedRowGroupWriter,
};

use super::row::Row;
use crate::query_log::segment_error::SealError;

/// Writes the columns of a row group, one after another.
pub(super) struct ColumnWriter<'a, 'f, W: io::Write + Send> {
    pub(super) group: &'a mut SerializedRowGroupWriter<'f, W>,
    pub(super) rows: &'a [Row],
    pub(super) page_rows: usize,
    pub(super) stop: &'a dyn Fn() -> bool,
}

impl<W: io::Write + Send> ColumnWriter<'_, '_, W> {
    /// A column of 32-bit numbers, which every row has.
    pub(super) fn numbers(&mut self, value: impl Fn(&Row) -> u32) -> Result<(), SealError> {
        let value = |row: &Row| value(row).cast_signed();
        self.pages::<Int32Type>(|rows, values, _| values.extend(rows.iter().map(value)))
    }

    /// A column of values that a row may lack.
    pub(super) fn optional<T: DataType>(
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

//! One page: the same rows of all columns. It decodes a column when a caller first needs it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parquet::{
    column::reader::ColumnReaderImpl,
    data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        metadata::ColumnChunkMetaData, page_index::offset_index::PageLocation,
        reader::SerializedPageReader,
    },
};

use super::{
    column::{self, Column},
    footer::{Group, PageExtent, Sealed},
    outcome,
    part::{self, PartError, Piece},
    row::Row,
    row_batch::RowBatch,
};
use crate::{handle::PhoneKey, query_log::record::HandleView};

pub(super) struct Page<'a> {
    segment: &'a Sealed,
    group: &'a Group,
    number: usize,
    phones: Option<Vec<Option<i64>>>,
    emails: Option<Vec<Option<ByteArray>>>,
    requests: Option<Vec<Option<i64>>>,
    changes: Option<Vec<Option<i64>>>,
    /// The columns of [`Column::NUMBERS`], each at its own index.
    numbers: [Option<Vec<i32>>; Column::ALL.len()],
}

impl<'a> Page<'a> {
    pub(super) fn new(segment: &'a Sealed, group: usize, number: usize) -> Self {
        let group = &segment.footer.groups[group];
        Self {
            segment,
            group,
            number,
            phones: None,
            emails: None,
            requests: None,
            changes: None,
            numbers: [const { None }; Column::ALL.len()],
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.group.page_rows(self.number)
    }

    pub(super) fn has_phones(&self) -> bool {
        self.group.phones[self.number].is_some()
    }

    pub(super) fn has_emails(&self) -> bool {
        self.group.emails[self.number].is_some()
    }

    pub(super) fn phones(&mut self) -> Result<&[Option<i64>], PartError> {
        if self.phones.is_none() {
            self.phones = Some(self.optional::<Int64Type>(Column::Phone, self.has_phones())?);
        }
        Ok(self.phones.as_deref().unwrap_or_default())
    }

    pub(super) fn emails(&mut self) -> Result<&[Option<ByteArray>], PartError> {
        if self.emails.is_none() {
            self.emails = Some(self.optional::<ByteArrayType>(Column::Email, self.has_emails())?);
        }
        Ok(self.emails.as_deref().unwrap_or_default())
    }

    pub(super) fn ats(&mut self) -> Result<&[i32], PartError> {
        self.numbers(Column::At)
    }

    pub(super) fn clients(&mut self) -> Result<&[i32], PartError> {
        self.numbers(Column::Client)
    }

    pub(super) fn outcomes(&mut self) -> Result<&[i32], PartError> {
        self.numbers(Column::Outcome)
    }

    /// The ids of changes, by row. The column is not read if none of these rows is a change.
    pub(super) fn change_ids(
        &mut self,
        mut rows: impl Iterator<Item = usize>,
    ) -> Result<Vec<Option<i64>>, PartError> {
        let outcomes = self.outcomes()?;
        let is_change = |row: usize| !outcome::is_lookup(outcomes[row].cast_unsigned());
        let any = rows.any(is_change);
        self.optional::<Int64Type>(Column::Change, any)
    }

    fn numbers(&mut self, column: Column) -> Result<&[i32], PartError> {
        let index = column as usize;
        if self.numbers[index].is_none() {
            let (values, _) = self.decode::<Int32Type>(column)?;
            if values.len() != self.rows() {
                return Err(PartError::Damaged);
            }
            self.numbers[index] = Some(values);
        }
        Ok(self.numbers[index].as_deref().unwrap_or_default())
    }

    /// Decodes all columns of numbers.
    pub(super) fn load_numbers(&mut self) -> Result<(), PartError> {
        Column::NUMBERS.into_iter().try_for_each(|column| self.numbers(column).map(drop))
    }

    /// The numbers of a row. None unless they are loaded.
    pub(super) fn row_numbers(&self, index: usize) -> Option<Row> {
        column::read(|column| {
            let values = self.numbers[column as usize].as_deref()?;
            values.get(index).map(|value| value.cast_unsigned())
        })
    }

    /// The values of an optional column. `any`: whether a row has a value; if not, the column need not be read.
    pub(super) fn optional<T: DataType>(
        &self,
        column: Column,
        any: bool,
    ) -> Result<Vec<Option<T::T>>, PartError> {
        if !any {
            return Ok(vec![None; self.rows()]);
        }
        let (values, levels) = self.decode::<T>(column)?;
        let present = levels.iter().filter(|level| **level == 1).count();
        if levels.len() != self.rows() || present != values.len() {
            return Err(PartError::Damaged);
        }
        let mut values = values.into_iter();
        Ok(levels.iter().map(|level| if *level == 1 { values.next() } else { None }).collect())
    }

    /// Values, and for an optional column a level for each row: 1 if it has a value.
    fn decode<T: DataType>(&self, column: Column) -> Result<(Vec<T::T>, Vec<i16>), PartError> {
        let extent = self.group.extent(column, self.number);
        let bytes = part::read_rows(&*self.segment.source, extent.start, extent.bytes.into())?;
        let piece = Piece { start: extent.start, bytes };
        // The parquet crate does not check every index and length; some values out of range make it panic.
        let decoded =
            catch_unwind(AssertUnwindSafe(|| self.decode_piece::<T>(column, extent, piece)));
        decoded.ok().and_then(Result::ok).ok_or(PartError::Damaged)
    }

    /// Decodes the page as the only page of its column, so that the parquet crate neither searches for it nor for a dictionary.
    fn decode_piece<T: DataType>(
        &self,
        column: Column,
        extent: PageExtent,
        piece: Piece,
    ) -> Result<(Vec<T::T>, Vec<i16>), ParquetError> {
        let rows = self.rows();
        let descriptor = self.segment.footer.schema.column(column as usize);
        let chunk = ColumnChunkMetaData::builder(descriptor.clone())
            .set_compression(self.group.compression(column))
            .set_data_page_offset(extent.start.cast_signed())
            .set_total_compressed_size(extent.bytes.into())
            .set_num_values(rows as i64)
            .build()?;
        let location = PageLocation {
            offset: extent.start.cast_signed(),
            compressed_page_size: extent.bytes.cast_signed(),
            first_row_index: 0,
        };
        let pages = SerializedPageReader::new(Arc::new(piece), &chunk, rows, Some(vec![location]))?;
        let mut reader = ColumnReaderImpl::<T>::new(descriptor, Box::new(pages));
        let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::new());
        reader.read_records(rows, Some(&mut levels), None, &mut values)?;
        Ok((values, levels))
    }

    /// Adds the rows at `indices`, which ascend, to a batch, which must then resolve their clients. If the page is damaged it
    /// leaves the batch unchanged.
    pub(super) fn read_into(
        &mut self,
        batch: &mut RowBatch,
        indices: &[u32],
    ) -> Result<(), PartError> {
        self.load(indices)?;
        let before = batch.rows.len();
        for &index in indices {
            let row = self.row(index as usize);
            if !row.is_some_and(|(handle, row)| batch.push(handle, row)) {
                batch.rows.truncate(before);
                return Err(PartError::Damaged);
            }
        }
        Ok(())
    }

    /// Decodes the columns that the rows at `indices` need: `request` and `change` only if one of them is of that kind.
    fn load(&mut self, indices: &[u32]) -> Result<(), PartError> {
        let outcomes = self.outcomes()?;
        let is_lookup = |index: &u32| outcome::is_lookup(outcomes[*index as usize].cast_unsigned());
        let any_lookup = indices.iter().any(is_lookup);
        let any_change = !indices.iter().all(is_lookup);
        self.phones()?;
        self.emails()?;
        self.load_numbers()?;
        if any_lookup && self.requests.is_none() {
            self.requests = Some(self.optional::<Int64Type>(Column::Request, true)?);
        }
        if any_change && self.changes.is_none() {
            self.changes = Some(self.optional::<Int64Type>(Column::Change, true)?);
        }
        Ok(())
    }

    /// A row, and its handle, which the row lacks. None if the writer does not write such a row.
    fn row(&self, index: usize) -> Option<(Option<HandleView<'_>>, Row)> {
        let handle = match (self.phones.as_ref()?.get(index)?, self.emails.as_ref()?.get(index)?) {
            (None, None) => None,
            (Some(bits), None) => {
                Some(HandleView::Phone(PhoneKey::from_bits(bits.cast_unsigned())?))
            }
            (None, Some(text)) => Some(HandleView::Email(text.as_utf8().ok()?)),
            (Some(_), Some(_)) => return None,
        };
        let row = self.row_numbers(index)?;
        let ids = if outcome::is_lookup(row.outcome) { &self.requests } else { &self.changes };
        let id = ids.as_ref()?.get(index).copied().flatten()?.cast_unsigned();
        Some((handle, Row { id, ..row }))
    }
}

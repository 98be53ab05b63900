//! The same rows of all columns: one page, of which each column is decoded when it is first asked for.

use std::{
    io,
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
    column::Column,
    footer::{Footer, Group, PagePlace},
    outcome,
    part::{self, PartError, PartSource, Piece},
    row_batch::{Read, RowBatch},
};
use crate::{clock::Hour, handle::PhoneKey, query_log::frames::row_view::HandleView};

/// Why rows of a page cannot be had.
#[derive(Debug)]
pub(super) enum PageFault {
    /// Their bytes are damaged, or are not what the writer writes.
    Damaged,
    Io(io::Error),
}

impl From<PartError> for PageFault {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Damaged => Self::Damaged,
            PartError::Io(error) => Self::Io(error),
        }
    }
}

impl From<io::Error> for PageFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a page is read from.
#[derive(Clone)]
pub(super) struct Segment {
    pub(super) source: Arc<dyn PartSource>,
    pub(super) footer: Arc<Footer>,
    pub(super) hour: Hour,
}

/// One page of a row group.
pub(super) struct Page<'a> {
    segment: &'a Segment,
    group: &'a Group,
    number: usize,
    phones: Option<Vec<Option<i64>>>,
    emails: Option<Vec<Option<ByteArray>>>,
    requests: Option<Vec<Option<i64>>>,
    changes: Option<Vec<Option<i64>>>,
    /// `at`, `client`, `took_us`, `outcome`.
    words: [Option<Vec<i32>>; 4],
}

impl<'a> Page<'a> {
    pub(super) fn new(segment: &'a Segment, group: usize, number: usize) -> Self {
        let group = &segment.footer.groups[group];
        Self {
            segment,
            group,
            number,
            phones: None,
            emails: None,
            requests: None,
            changes: None,
            words: [const { None }; 4],
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.group.page_rows(self.number)
    }

    /// Whether a row of it has a phone number.
    pub(super) fn has_phones(&self) -> bool {
        self.group.phones[self.number].is_some()
    }

    /// Whether a row of it has an e-mail address.
    pub(super) fn has_emails(&self) -> bool {
        self.group.emails[self.number].is_some()
    }

    pub(super) fn phones(&mut self) -> Result<&[Option<i64>], PageFault> {
        if self.phones.is_none() {
            self.phones = Some(if self.has_phones() {
                self.optional::<Int64Type>(Column::Phone)?
            } else {
                vec![None; self.rows()]
            });
        }
        Ok(self.phones.as_deref().unwrap_or_default())
    }

    pub(super) fn emails(&mut self) -> Result<&[Option<ByteArray>], PageFault> {
        if self.emails.is_none() {
            self.emails = Some(if self.has_emails() {
                self.optional::<ByteArrayType>(Column::Email)?
            } else {
                vec![None; self.rows()]
            });
        }
        Ok(self.emails.as_deref().unwrap_or_default())
    }

    pub(super) fn ats(&mut self) -> Result<&[i32], PageFault> {
        self.word(0, Column::At)
    }

    pub(super) fn clients(&mut self) -> Result<&[i32], PageFault> {
        self.word(1, Column::Client)
    }

    pub(super) fn outcomes(&mut self) -> Result<&[i32], PageFault> {
        self.word(3, Column::Outcome)
    }

    fn word(&mut self, place: usize, column: Column) -> Result<&[i32], PageFault> {
        if self.words[place].is_none() {
            self.words[place] = Some(self.dense(column)?);
        }
        Ok(self.words[place].as_deref().unwrap_or_default())
    }

    /// The values of a column that every row has.
    pub(super) fn dense(&self, column: Column) -> Result<Vec<i32>, PageFault> {
        let (values, _) = self.decode::<Int32Type>(column)?;
        if values.len() == self.rows() { Ok(values) } else { Err(PageFault::Damaged) }
    }

    /// The values of a column that not every row has, and a level for each row: 1 if it has one.
    pub(super) fn sparse<T: DataType>(
        &self,
        column: Column,
    ) -> Result<(Vec<T::T>, Vec<i16>), PageFault> {
        let (values, levels) = self.decode::<T>(column)?;
        let present = levels.iter().filter(|level| **level == 1).count();
        let is_whole = levels.len() == self.rows() && present == values.len();
        if is_whole { Ok((values, levels)) } else { Err(PageFault::Damaged) }
    }

    fn optional<T: DataType>(&self, column: Column) -> Result<Vec<Option<T::T>>, PageFault> {
        let (values, levels) = self.sparse::<T>(column)?;
        let mut values = values.into_iter();
        let value = |level: &i16| if *level == 1 { values.next() } else { None };
        Ok(levels.iter().map(value).collect())
    }

    /// Values, and a level for each row of an optional column.
    fn decode<T: DataType>(&self, column: Column) -> Result<(Vec<T::T>, Vec<i16>), PageFault> {
        let place = self.group.place(column, self.number);
        let bytes = part::read_rows(&*self.segment.source, place.start, place.bytes.into())?;
        let piece = Piece { start: place.start, bytes };
        // Parquet checks much, but not all: an index or a length out of range is a panic there.
        let decoded =
            catch_unwind(AssertUnwindSafe(|| self.decode_piece::<T>(column, place, piece)));
        decoded.ok().and_then(Result::ok).ok_or(PageFault::Damaged)
    }

    /// Reads the page as if its column had no other: so it is found at once, and no dictionary is looked for.
    fn decode_piece<T: DataType>(
        &self,
        column: Column,
        place: PagePlace,
        piece: Piece,
    ) -> Result<(Vec<T::T>, Vec<i16>), ParquetError> {
        let rows = self.rows();
        let descriptor = self.segment.footer.schema.column(column as usize);
        let chunk = ColumnChunkMetaData::builder(descriptor.clone())
            .set_compression(self.group.compression(column))
            .set_data_page_offset(place.start.cast_signed())
            .set_total_compressed_size(place.bytes.into())
            .set_num_values(rows as i64)
            .build()?;
        let location = PageLocation {
            offset: place.start.cast_signed(),
            compressed_page_size: place.bytes.cast_signed(),
            first_row_index: 0,
        };
        let pages = SerializedPageReader::new(Arc::new(piece), &chunk, rows, Some(vec![location]))?;
        let mut reader = ColumnReaderImpl::<T>::new(descriptor, Box::new(pages));
        let (mut values, mut levels) = (Vec::with_capacity(rows), Vec::new());
        reader.read_records(rows, Some(&mut levels), None, &mut values)?;
        Ok((values, levels))
    }

    /// Adds the rows at `places`, which are ascending, to a batch, in which they have no clients yet. If the page turns out
    /// to be damaged the batch is as it was.
    pub(super) fn read_into(
        &mut self,
        batch: &mut RowBatch,
        places: &[u32],
    ) -> Result<(), PageFault> {
        self.load(places)?;
        let before = batch.len();
        for &place in places {
            if !self.read(place as usize).is_some_and(|read| batch.push(&read)) {
                batch.truncate(before);
                return Err(PageFault::Damaged);
            }
        }
        Ok(())
    }

    /// Decodes what the rows at `places` need: `request` and `change` only if one of them is a lookup or a change.
    fn load(&mut self, places: &[u32]) -> Result<(), PageFault> {
        let outcomes = self.outcomes()?;
        let is_change = |place: &u32| {
            outcomes
                .get(*place as usize)
                .is_some_and(|bits| outcome::is_change(bits.cast_unsigned()))
        };
        let (any_change, any_lookup) =
            (places.iter().any(is_change), !places.iter().all(is_change));
        self.phones()?;
        self.emails()?;
        self.ats()?;
        self.clients()?;
        self.word(2, Column::TookUs)?;
        if any_lookup && self.requests.is_none() {
            self.requests = Some(self.optional::<Int64Type>(Column::Request)?);
        }
        if any_change && self.changes.is_none() {
            self.changes = Some(self.optional::<Int64Type>(Column::Change)?);
        }
        Ok(())
    }

    /// None if it is not a row that the writer writes.
    fn read(&self, index: usize) -> Option<Read<'_>> {
        let handle = match (self.phones.as_ref()?.get(index)?, self.emails.as_ref()?.get(index)?) {
            (None, None) => None,
            (Some(bits), None) => {
                Some(HandleView::Phone(PhoneKey::from_bits(bits.cast_unsigned())?))
            }
            (None, Some(text)) => Some(HandleView::Email(text.as_utf8().ok()?)),
            (Some(_), Some(_)) => return None,
        };
        let word = |place: usize| {
            let words = self.words[place].as_deref()?;
            words.get(index).map(|word| word.cast_unsigned())
        };
        let (at, client, took_us, outcome) = (word(0)?, word(1)?, word(2)?, word(3)?);
        let ids = if outcome::is_change(outcome) { &self.changes } else { &self.requests };
        let id = ids.as_ref()?.get(index).copied().flatten()?.cast_unsigned();
        Some(Read { handle, id, at, client, took_us, outcome })
    }
}

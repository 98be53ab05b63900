//! Reads everything back, and sums it up as the writer did: without making rows of it.

use std::{io, num::NonZeroU64};

use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};

use super::{
    client_table,
    column::Column,
    digest::{RowHasher, RowSum, RowWords, codes},
    outcome::{self, Outcome},
    page::{Page, PageFault, Segment},
};
use crate::{handle::PhoneKey, ids::RequestId};

/// What was found when everything was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query_log) struct Digest {
    /// The sum over the rows that could be read.
    pub(in crate::query_log) sum: RowSum,
    /// Rows that could be read.
    pub(in crate::query_log) records: u64,
    /// Whether each row stands behind the one before it.
    pub(in crate::query_log) sorted: bool,
    /// Rows that could not be read.
    pub(in crate::query_log) damaged_rows: u64,
}

/// See [`Sealed::digest`](super::reader::Sealed::digest).
pub(super) fn digest(segment: &Segment, seed: u64) -> io::Result<Digest> {
    let hasher = RowHasher::new(seed);
    let mut sum = hasher.sum();
    let (mut sorted, mut damaged_rows, mut any) = (true, 0, false);
    let mut last = RowKey { handle: 0, address: ByteArray::from(Vec::new()), at: 0 };
    for (group, found) in segment.footer.groups.iter().enumerate() {
        let mut clients = Vec::with_capacity(found.table.size.entries as usize);
        client_table::read_all(&*segment.source, &found.table, &mut |client| {
            clients.push(client.map(|client| hasher.client(&client)));
        })?;
        for number in 0..found.pages() {
            let page = Page::new(segment, group, number);
            let rows = page.rows() as u64;
            let mut read = PageSum {
                hasher: &hasher,
                sum: hasher.sum(),
                sorted: true,
                last: last.clone(),
                any,
                start: segment.hour.start().as_micros(),
            };
            match read.read(&page, &clients) {
                Ok(()) => {
                    damaged_rows += rows - read.sum.records();
                    sorted &= read.sorted;
                    sum.add(&read.sum);
                    (last, any) = (read.last, read.any);
                }
                // No row of it is given to anybody.
                Err(PageFault::Damaged) => damaged_rows += rows,
                Err(PageFault::Io(error)) => return Err(error),
            }
        }
    }
    Ok(Digest { sum, records: sum.records(), sorted, damaged_rows })
}

/// Where a row stands.
#[derive(Clone)]
struct RowKey {
    /// A phone number's bits, 0 for none, [`ADDRESS`] for an address.
    handle: u64,
    /// The last address there was.
    address: ByteArray,
    at: u32,
}

/// Behind every phone number.
const ADDRESS: u64 = u64::MAX;

/// An optional column of a page, row by row.
struct Sparse<T> {
    values: std::vec::IntoIter<T>,
    /// None if the page has no value.
    levels: Option<Vec<i16>>,
}

impl<T> Sparse<T> {
    fn read<D: DataType<T = T>>(
        page: &Page<'_>,
        column: Column,
        any: bool,
    ) -> Result<Self, PageFault> {
        let (values, levels) = if any { page.sparse::<D>(column)? } else { Default::default() };
        Ok(Self { values: values.into_iter(), levels: any.then_some(levels) })
    }

    /// The value of the next row, which is the one at `index`.
    fn next(&mut self, index: usize) -> Option<T> {
        let level = self.levels.as_ref()?.get(index)?;
        if *level == 1 { self.values.next() } else { None }
    }
}

/// What is summed up of one page.
struct PageSum<'a> {
    hasher: &'a RowHasher,
    sum: RowSum,
    sorted: bool,
    /// Where the row before stands, if there is any.
    last: RowKey,
    any: bool,
    /// When the hour began.
    start: u64,
}

impl PageSum<'_> {
    fn read(&mut self, page: &Page<'_>, clients: &[Option<NonZeroU64>]) -> Result<(), PageFault> {
        let outcomes = page.dense(Column::Outcome)?;
        let is_change = |bits: &i32| outcome::is_change(bits.cast_unsigned());
        let any_change = outcomes.iter().any(is_change);
        let any_lookup = !outcomes.iter().all(is_change);
        let mut phones = Sparse::read::<Int64Type>(page, Column::Phone, page.has_phones())?;
        let mut emails = Sparse::read::<ByteArrayType>(page, Column::Email, page.has_emails())?;
        let ats = page.dense(Column::At)?;
        let mut requests = Sparse::read::<Int64Type>(page, Column::Request, any_lookup)?;
        let mut changes = Sparse::read::<Int64Type>(page, Column::Change, any_change)?;
        let numbers = page.dense(Column::Client)?;
        let tooks = page.dense(Column::TookUs)?;
        // All at once: the processor then waits for the memory of many at a time, where it waited for each (70 ns a row).
        let place = |number: &i32| number.cast_unsigned() as usize;
        let clients: Vec<Option<NonZeroU64>> =
            numbers.iter().map(|number| clients.get(place(number)).copied().flatten()).collect();
        let mut known = None;
        let words = outcomes.iter().zip(&ats).zip(clients.iter().zip(&tooks));
        for (index, ((bits, at), (client, took_us))) in words.enumerate() {
            let codes = known_codes(&mut known, bits.cast_unsigned())?;
            let at = at.cast_unsigned();
            let handle = self.place(phones.next(index), emails.next(index), at)?;
            let id = match (is_change(bits), requests.next(index), changes.next(index)) {
                (false, Some(count), None) => RequestId::from_count(count.cast_unsigned()).bits(),
                (true, None, Some(id)) => id.cast_unsigned(),
                _ => return Err(PageFault::Damaged),
            };
            // A row whose client is damaged is damaged alone.
            let Some(client) = *client else { continue };
            let (at, took_us) = (self.start + u64::from(at), took_us.cast_unsigned());
            let row = RowWords { handle, at, id, took_us, codes, client };
            self.hasher.add(&mut self.sum, &row);
        }
        Ok(())
    }

    /// Takes note of where the next row stands, and gives its handle as a word.
    fn place(
        &mut self,
        phone: Option<i64>,
        email: Option<ByteArray>,
        at: u32,
    ) -> Result<u64, PageFault> {
        let (handle, word) = match (phone, &email) {
            (None, None) => (0, 0),
            (Some(bits), None) => {
                let bits = bits.cast_unsigned();
                PhoneKey::from_bits(bits).ok_or(PageFault::Damaged)?;
                (bits, bits)
            }
            (None, Some(text)) => (ADDRESS, self.hasher.text(text.data())),
            (Some(_), Some(_)) => return Err(PageFault::Damaged),
        };
        let last = &mut self.last;
        if handle == ADDRESS
            && last.handle == ADDRESS
            && let Some(text) = &email
            && text.data() != last.address.data()
        {
            self.sorted &= last.address.data() < text.data();
        } else {
            self.sorted &= !self.any || (last.handle, last.at) < (handle, at);
        }
        (last.handle, last.at, self.any) = (handle, at, true);
        if let Some(text) = email {
            last.address = text;
        }
        Ok(word)
    }
}

/// The codes of an outcome. Few are different, one after another.
fn known_codes(known: &mut Option<(u32, u32)>, bits: u32) -> Result<u32, PageFault> {
    match known {
        Some((last, codes)) if *last == bits => Ok(*codes),
        _ => {
            let codes = codes(Outcome::from_bits(bits).ok_or(PageFault::Damaged)?);
            *known = Some((bits, codes));
            Ok(codes)
        }
    }
}

//! Reads a whole segment and computes its digest from the columns, without building rows.

use std::{io, num::NonZeroU64};

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};

use super::{
    client_table,
    column::Column,
    digest::{RowHasher, RowSum, codes},
    footer::Sealed,
    outcome,
    page::Page,
    part::PartError,
    row::{HashedRow, Hashes, Row},
};
use crate::{handle::PhoneKey, query_log::record::Outcome};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// The sum over the readable rows, and their number.
    pub(crate) sum: RowSum,
    /// Whether each row sorts after its predecessor.
    pub(crate) sorted: bool,
    pub(crate) damaged_rows: u64,
}

impl Sealed {
    /// Reads the whole segment. With the writer's seed the sum equals the writer's unless a row is lost or changed.
    pub(crate) fn digest(&self, seed: u64) -> io::Result<Digest> {
        let hasher = RowHasher::new(seed);
        let mut sum = hasher.sum();
        let (mut sorted, mut damaged_rows, mut any) = (true, 0, false);
        let mut last = RowKey { handle: 0, address: ByteArray::from(Vec::new()), at: 0 };
        for (group, found) in self.footer.groups.iter().enumerate() {
            let mut clients = Vec::with_capacity(found.table.size.entries as usize);
            client_table::read_all(&*self.source, &found.table, &|| false, &mut |client| {
                clients.push(client.map(|client| hasher.client(&client)));
            })?;
            for number in 0..found.pages() {
                let mut page = Page::new(self, group, number);
                let rows = page.rows() as u64;
                let mut read = PageSum {
                    hasher: &hasher,
                    sum: hasher.sum(),
                    sorted: true,
                    last: last.clone(),
                    any,
                    start: self.hour.start().as_micros(),
                };
                match read.read(&mut page, &clients) {
                    Ok(()) => {
                        damaged_rows += rows - read.sum.records;
                        sorted &= read.sorted;
                        sum.add(&read.sum);
                        (last, any) = (read.last, read.any);
                    }
                    // A reader gives no row of a damaged page.
                    Err(PartError::Damaged) => damaged_rows += rows,
                    Err(PartError::Io(error)) => return Err(error),
                }
            }
        }
        Ok(Digest { sum, sorted, damaged_rows })
    }
}

#[derive(Clone)]
struct RowKey {
    /// The bits of a phone number, 0 for none, or [`ADDRESS`].
    handle: u64,
    /// The last e-mail address that was read.
    address: ByteArray,
    at: u32,
}

/// Marks an e-mail address; it sorts after every phone number.
const ADDRESS: u64 = u64::MAX;

struct PageSum<'a> {
    hasher: &'a RowHasher,
    sum: RowSum,
    sorted: bool,
    /// The key of the previous row; only valid if `any`.
    last: RowKey,
    any: bool,
    /// The start of the hour, in microseconds since the epoch.
    start: u64,
}

impl PageSum<'_> {
    fn read(
        &mut self,
        page: &mut Page<'_>,
        clients: &[Option<NonZeroU64>],
    ) -> Result<(), PartError> {
        let outcomes = page.outcomes()?;
        let is_lookup = |bits: &i32| outcome::is_lookup(bits.cast_unsigned());
        let any_lookup = outcomes.iter().any(is_lookup);
        let any_change = !outcomes.iter().all(is_lookup);
        let phones = page.optional::<Int64Type>(Column::Phone, page.has_phones())?;
        let mut emails = page.optional::<ByteArrayType>(Column::Email, page.has_emails())?;
        let requests = page.optional::<Int64Type>(Column::Request, any_lookup)?;
        let changes = page.optional::<Int64Type>(Column::Change, any_change)?;
        page.load_numbers()?;
        // One short loop, so that the processor waits for the memory of many clients at once. Row by row it waited 70 ns each.
        let index = |number: &i32| number.cast_unsigned() as usize;
        let clients: Vec<Option<NonZeroU64>> = page
            .clients()?
            .iter()
            .map(|number| clients.get(index(number)).copied().flatten())
            .collect();
        let mut cache = None;
        for (index, client) in clients.iter().enumerate() {
            let row = page.row_numbers(index).ok_or(PartError::Damaged)?;
            let codes = cached_codes(&mut cache, row.outcome)?;
            let handle = self.check_order(phones[index], emails[index].take(), row.at)?;
            let id = match (outcome::is_lookup(row.outcome), requests[index], changes[index]) {
                (true, Some(id), None) | (false, None, Some(id)) => id.cast_unsigned(),
                _ => return Err(PartError::Damaged),
            };
            // A damaged client costs only its own rows.
            let Some(client) = *client else { continue };
            let (row, hashes) = (Row { id, ..row }, Hashes { handle, codes, client });
            self.hasher.add(&mut self.sum, &HashedRow::of_columns(&row, self.start, &hashes));
        }
        Ok(())
    }

    /// Compares the next row's sort key with the previous one. Returns the handle as hashed.
    fn check_order(
        &mut self,
        phone: Option<i64>,
        email: Option<ByteArray>,
        at: u32,
    ) -> Result<u64, PartError> {
        let (handle, hashed) = match (phone, &email) {
            (None, None) => (0, 0),
            (Some(bits), None) => {
                let bits = bits.cast_unsigned();
                PhoneKey::from_bits(bits).ok_or(PartError::Damaged)?;
                (bits, bits)
            }
            (None, Some(text)) => (ADDRESS, self.hasher.text(text.data())),
            (Some(_), Some(_)) => return Err(PartError::Damaged),
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
        Ok(hashed)
    }
}

/// The codes of an outcome. It remembers the last, because consecutive rows often have the same outcome.
fn cached_codes(cache: &mut Option<(u32, u32)>, bits: u32) -> Result<u32, PartError> {
    match cache {
        Some((last, codes)) if *last == bits => Ok(*codes),
        _ => {
            let codes = codes(Outcome::from_bits(bits).ok_or(PartError::Damaged)?);
            *cache = Some((bits, codes));
            Ok(codes)
        }
    }
}

//! A sealed segment, open for reading, and its footer: the positions of all pages.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parquet::{
    basic::Compression,
    errors::ParquetError,
    file::{
        metadata::{
            PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, page_index::PageIndexProvider,
        },
        page_index::{column_index::ColumnIndexMetaData, offset_index::PageLocation},
    },
    schema::types::{SchemaDescPtr, SchemaDescriptor},
};

use super::{
    clients::TableSize,
    column::{self, Column},
    group::Table,
    part::{self, PartError, PartSource, Piece},
};
use crate::{clock::Hour, query_log::segment_error::SegmentError};

/// The most rows of a page that the reader decodes, whatever the footer says.
const PAGE_ROWS_MAX: usize = 1 << 20;

const VERSION_KEY: &str = "dispatchd.sealed";
const VERSION: &str = "1";
const HOUR_KEY: &str = "dispatchd.hour";
const CLIENTS_KEY: &str = "dispatchd.clients";

/// The metadata that the footer adds to Parquet's: the format's version, the hour, and the client table of each row group.
pub(super) fn metadata(hour: Hour, tables: &[Table]) -> [(&'static str, String); 3] {
    let table =
        |table: &Table| format!("{} {} {}", table.start, table.size.entries, table.size.addresses);
    let tables: Vec<String> = tables.iter().map(table).collect();
    [
        (VERSION_KEY, VERSION.to_owned()),
        (HOUR_KEY, hour.number().to_string()),
        (CLIENTS_KEY, tables.join(",")),
    ]
}

fn read_tables(text: &str) -> Option<Vec<Table>> {
    let table = |text: &str| {
        let mut words = text.split(' ');
        let start = words.next()?.parse().ok()?;
        let entries = words.next()?.parse().ok()?;
        let addresses = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Table { start, size: TableSize { entries, addresses } })
    };
    if text.is_empty() { Some(Vec::new()) } else { text.split(',').map(table).collect() }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PageExtent {
    pub(super) start: u64,
    pub(super) bytes: u32,
}

/// The smallest and the largest value of a page.
pub(super) type Bounds<T> = (T, T);

#[derive(Debug)]
pub(super) struct Group {
    pub(super) table: Table,
    /// The first row of each page, then the number of rows.
    starts: Vec<u32>,
    extents: [Vec<PageExtent>; Column::ALL.len()],
    compressions: [Compression; Column::ALL.len()],
    /// The bounds of each page; none if no row of it has a phone number.
    pub(super) phones: Vec<Option<Bounds<u64>>>,
    /// The bounds of each page; none if no row of it has an e-mail address.
    pub(super) emails: Vec<Option<Bounds<Box<[u8]>>>>,
    pub(super) ats: Vec<Bounds<u32>>,
}

impl Group {
    pub(super) const fn pages(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn page_rows(&self, page: usize) -> usize {
        (self.starts[page + 1] - self.starts[page]) as usize
    }

    pub(super) fn extent(&self, column: Column, page: usize) -> PageExtent {
        self.extents[column as usize][page]
    }

    pub(super) const fn compression(&self, column: Column) -> Compression {
        self.compressions[column as usize]
    }
}

/// A sealed segment, open for reading. Clones share its bytes and its footer, which is read and checked once.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub(super) source: Arc<dyn PartSource>,
    pub(super) footer: Arc<Footer>,
    pub(super) hour: Hour,
}

impl Sealed {
    /// Reads the footer. `Unreadable` if footer and copy are damaged or belong to another hour.
    pub(crate) fn open(source: Arc<dyn PartSource>, hour: Hour) -> Result<Self, SegmentError> {
        let footer = Arc::new(Footer::read(&*source, hour)?);
        Ok(Self { source, footer, hour })
    }

    /// Rows in it, damaged ones included.
    pub(crate) fn records(&self) -> u64 {
        self.footer.records
    }
}

#[derive(Debug)]
pub(super) struct Footer {
    pub(super) groups: Vec<Group>,
    pub(super) schema: SchemaDescPtr,
    records: u64,
}

impl Footer {
    fn read(source: &dyn PartSource, hour: Hour) -> Result<Self, SegmentError> {
        let mut last = SegmentError::Unreadable;
        for part in [part::FOOTER, part::FOOTER_COPY] {
            match Self::read_part(source, part, hour) {
                Ok(Some(footer)) => return Ok(footer),
                Ok(None) => {}
                Err(error) => last = SegmentError::Io(error),
            }
        }
        Err(last)
    }

    /// None if the part is damaged or the writer did not write it.
    fn read_part(source: &dyn PartSource, part: usize, hour: Hour) -> io::Result<Option<Self>> {
        let bytes = match source.read(part, 0..source.part_bytes(part)) {
            Ok(bytes) => bytes,
            Err(PartError::Damaged) => return Ok(None),
            Err(PartError::Io(error)) => return Err(error),
        };
        let rows_bytes = source.part_bytes(part::ROWS);
        let piece = Piece { start: rows_bytes, bytes };
        // The parquet crate does not check every index and length; some values out of range make it panic.
        let parsed = catch_unwind(AssertUnwindSafe(|| Self::parse(&piece, rows_bytes, hour)));
        Ok(parsed.ok().and_then(Result::ok).flatten())
    }

    fn parse(piece: &Piece, rows_bytes: u64, hour: Hour) -> Result<Option<Self>, ParquetError> {
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(piece)?;
        let schema = column::schema()?;
        if metadata.file_metadata().schema() != &*schema {
            return Ok(None);
        }
        Ok(Self::check(&metadata, rows_bytes, hour).map(|groups| Self {
            records: groups.iter().map(|group| u64::from(*group.starts.last().unwrap_or(&0))).sum(),
            groups,
            schema: Arc::new(SchemaDescriptor::new(schema)),
        }))
    }

    fn check(metadata: &ParquetMetaData, rows_bytes: u64, hour: Hour) -> Option<Vec<Group>> {
        let entries = metadata.file_metadata().key_value_metadata()?;
        let value = |key| entries.iter().find(|entry| entry.key == key)?.value.as_deref();
        let is_known =
            value(VERSION_KEY)? == VERSION && value(HOUR_KEY)? == hour.number().to_string();
        let tables = read_tables(value(CLIENTS_KEY)?)?;
        if !is_known || tables.len() != metadata.num_row_groups() {
            return None;
        }
        let tables = tables.into_iter().enumerate();
        tables.map(|(number, table)| group(metadata, number, table, rows_bytes)).collect()
    }
}

fn group(metadata: &ParquetMetaData, number: usize, table: Table, end: u64) -> Option<Group> {
    if table.start.checked_add(table.size.bytes())? > end {
        return None;
    }
    let index = &**metadata.page_index()?;
    let group = metadata.row_group(number);
    let rows = u32::try_from(group.num_rows()).ok()?;
    let starts = starts(index, number, rows)?;
    let mut extents = [const { Vec::new() }; Column::ALL.len()];
    let mut compressions = [Compression::UNCOMPRESSED; Column::ALL.len()];
    for column in Column::ALL {
        extents[column as usize] = page_extents(index, number, column, &starts, end)?;
        compressions[column as usize] = group.columns().get(column as usize)?.compression();
    }
    let pages = starts.len() - 1;
    let ColumnIndexMetaData::INT64(phones) = column_index(index, number, Column::Phone, pages)?
    else {
        return None;
    };
    let ColumnIndexMetaData::BYTE_ARRAY(emails) =
        column_index(index, number, Column::Email, pages)?
    else {
        return None;
    };
    let ColumnIndexMetaData::INT32(ats) = column_index(index, number, Column::At, pages)? else {
        return None;
    };
    let phone = |page| {
        let (min, max) = (phones.min_value(page)?, phones.max_value(page)?);
        Some((min.cast_unsigned(), max.cast_unsigned()))
    };
    let email = |page| Some((emails.min_value(page)?.into(), emails.max_value(page)?.into()));
    let at = |page| {
        let (min, max) = (ats.min_value(page)?, ats.max_value(page)?);
        Some((min.cast_unsigned(), max.cast_unsigned()))
    };
    Some(Group {
        table,
        extents,
        compressions,
        phones: (0..pages).map(phone).collect(),
        emails: (0..pages).map(email).collect(),
        ats: (0..pages).map(at).collect::<Option<_>>()?,
        starts,
    })
}

/// The first row of each page of the first column, then the number of rows.
fn starts(index: &dyn PageIndexProvider, group: usize, rows: u32) -> Option<Vec<u32>> {
    let locations = index.offset_index(group, 0)?.page_locations();
    let starts = locations.iter().map(|location| u32::try_from(location.first_row_index).ok());
    let starts: Vec<u32> = starts.chain([Some(rows)]).collect::<Option<_>>()?;
    let fits = |pair: &[u32]| pair[0] < pair[1] && (pair[1] - pair[0]) as usize <= PAGE_ROWS_MAX;
    (starts.len() > 1 && starts[0] == 0 && starts.windows(2).all(fits)).then_some(starts)
}

/// The pages of a column. None unless they begin at the same rows as those of the first column.
fn page_extents(
    index: &dyn PageIndexProvider,
    group: usize,
    column: Column,
    starts: &[u32],
    end: u64,
) -> Option<Vec<PageExtent>> {
    let locations = index.offset_index(group, column as usize)?.page_locations();
    if locations.len() != starts.len() - 1 {
        return None;
    }
    let extent = |(location, first): (&PageLocation, &u32)| {
        let start = u64::try_from(location.offset).ok()?;
        let bytes = u32::try_from(location.compressed_page_size).ok()?;
        let fits = start.checked_add(bytes.into())? <= end
            && location.first_row_index == i64::from(*first);
        fits.then_some(PageExtent { start, bytes })
    };
    locations.iter().zip(starts).map(extent).collect()
}

fn column_index(
    index: &dyn PageIndexProvider,
    group: usize,
    column: Column,
    pages: usize,
) -> Option<&ColumnIndexMetaData> {
    let index = index.column_index(group, column as usize)?;
    (index.num_pages() == pages as u64).then_some(index)
}

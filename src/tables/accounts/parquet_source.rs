//! Parquet: splits a file into batches of rows, and converts batches to cells.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::{
    basic::TimeUnit,
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType},
    errors::{ParquetError, Result},
    file::reader::{FileReader as _, SerializedFileReader},
};

use super::{
    bad_rows::Reason,
    cells::{Cell, Cells},
    columns::{Column, Layout},
    parquet_types::Form,
    source::StageError,
};
use crate::files::File;

/// Rows of one batch: few enough to distribute to threads, and enough to read fast.
const BATCH_ROWS: usize = 8_192;

/// Bytes of a row group's column that are read whatever its rows: a dictionary, a few long texts.
const COLUMN_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes for each row beyond that. A page is in memory as a whole, and a small file may hold a page of gigabytes.
const CELL_BYTES_MAX: usize = 4 * 1024;

pub(super) struct ParquetPiece {
    /// The values of each column of [`Column::ALL`] that the file has.
    columns: [Option<Values>; Column::ALL.len()],
    rows: usize,
    /// The number of the first row, counted from 1.
    row: u64,
}

/// The values of a column: one for each row, none for null.
enum Values {
    Null,
    Text(Vec<Option<ByteArray>>),
    /// Integers and UUIDs.
    Ids(Vec<Option<String>>),
    Flags(Vec<Option<bool>>),
    /// Microseconds since the epoch.
    Instants(Vec<Option<i64>>),
    /// Whether there is a number: pandas writes "not a number" for no value.
    Floats(Vec<Option<bool>>),
}

pub(super) struct ParquetSource {
    file: SerializedFileReader<File>,
    /// The index in the file and the form of each column.
    columns: [Option<(usize, Form)>; Column::ALL.len()],
    /// The row group that is read next.
    next_group: usize,
    /// The readers of the row group's columns, and how many of its rows they have not read.
    group: [Option<(ColumnReader, Form)>; Column::ALL.len()],
    rows_left: usize,
    pub(super) rows_read: u64,
    pub(super) rows_total: u64,
}

impl ParquetSource {
    /// Reads the layout of the rows.
    pub(super) fn open(file: File) -> Result<(Layout, Self), StageError> {
        let file = unless_it_panics(|| SerializedFileReader::new(file))?;
        let metadata = file.metadata().file_metadata();
        let (schema, fields) = (metadata.schema_descr(), metadata.schema().get_fields());
        let mut layout = Layout::from_names(fields.iter().map(|field| field.name()))?;
        let mut columns = [const { None }; Column::ALL.len()];
        for column in Column::ALL {
            let Some(position) = layout.position(column) else { continue };
            let form = Form::of(column, &fields[position])?;
            layout.has_local_time |= form.is_local_time();
            // A nested column before it, such as an index of pandas, would have several leaves.
            let leaf = (0..schema.num_columns())
                .find(|leaf| schema.get_column_root_idx(*leaf) == position);
            columns[column as usize] = leaf.map(|leaf| (leaf, form));
        }
        let rows_total = u64::try_from(metadata.num_rows()).unwrap_or(0);
        let group = [const { None }; Column::ALL.len()];
        let source =
            Self { file, columns, next_group: 0, group, rows_left: 0, rows_read: 0, rows_total };
        Ok((layout, source))
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<ParquetPiece>, StageError> {
        while self.rows_left == 0 {
            if self.next_group == self.file.num_row_groups() {
                return Ok(None);
            }
            unless_it_panics(|| self.open_group())?;
        }
        let rows = self.rows_left.min(BATCH_ROWS);
        let columns = unless_it_panics(|| {
            let mut columns = [const { None }; Column::ALL.len()];
            for (values, reader) in columns.iter_mut().zip(&mut self.group) {
                let Some((reader, form)) = reader else { continue };
                *values = Some(Values::read(reader, *form, rows)?);
            }
            Ok(columns)
        })?;
        let row = self.rows_read + 1;
        self.rows_left -= rows;
        self.rows_read += rows as u64;
        Ok(Some(ParquetPiece { columns, rows, row }))
    }

    fn open_group(&mut self) -> Result<()> {
        let group = self.file.get_row_group(self.next_group)?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        for (reader, column) in self.group.iter_mut().zip(&self.columns) {
            let open = |&(leaf, form): &(usize, Form)| {
                let bytes = group.metadata().column(leaf).uncompressed_size();
                if usize::try_from(bytes).unwrap_or(0)
                    > COLUMN_BYTES_MAX.saturating_add(rows.saturating_mul(CELL_BYTES_MAX))
                {
                    return Err(damaged("a column has values that are too long"));
                }
                group.get_column_reader(leaf).map(|reader| (reader, form))
            };
            *reader = column.as_ref().map(open).transpose()?;
        }
        self.rows_left = rows;
        self.next_group += 1;
        Ok(())
    }
}

/// Calls `row` for each row of a piece, with its number.
pub(super) fn read(piece: &ParquetPiece, mut row: impl FnMut(u64, Result<Cells<'_>, Reason>)) {
    for (number, at) in (piece.row..).zip(0..piece.rows) {
        let cells = piece.columns.each_ref().map(|values| match values {
            Some(values) => values.cell(at).unwrap_or(Cell::Text("")),
            None => Cell::Text(""),
        });
        row(number, Ok(cells));
    }
}

impl Values {
    /// The next `rows` values.
    fn read(reader: &mut ColumnReader, form: Form, rows: usize) -> Result<Self> {
        use ColumnReader as Of;
        // An instant beyond the range of microseconds saturates, and is then refused as one in the future.
        let micros = |value: i64| match form {
            Form::Instant { unit: TimeUnit::MILLIS, .. } => value.saturating_mul(1_000),
            Form::Instant { unit: TimeUnit::NANOS, .. } => value.div_euclid(1_000),
            _ => value,
        };
        Ok(match (form, reader) {
            (Form::Null, _) => Self::Null,
            (Form::Text, Of::ByteArrayColumnReader(reader)) => {
                Self::Text(values(reader, rows, checked_text)?)
            }
            (Form::Flag, Of::BoolColumnReader(reader)) => Self::Flags(values(reader, rows, Ok)?),
            (Form::Integer { is_signed: true }, Of::Int32ColumnReader(reader)) => {
                Self::Ids(values(reader, rows, |id| Ok(id.to_string()))?)
            }
            (Form::Integer { is_signed: true }, Of::Int64ColumnReader(reader)) => {
                Self::Ids(values(reader, rows, |id| Ok(id.to_string()))?)
            }
            (Form::Integer { .. }, Of::Int32ColumnReader(reader)) => {
                Self::Ids(values(reader, rows, |id| Ok(id.cast_unsigned().to_string()))?)
            }
            (Form::Integer { .. }, Of::Int64ColumnReader(reader)) => {
                Self::Ids(values(reader, rows, |id| Ok(id.cast_unsigned().to_string()))?)
            }
            (Form::Uuid, Of::FixedLenByteArrayColumnReader(reader)) => {
                Self::Ids(values(reader, rows, |uuid| Ok(uuid_text(uuid.data())))?)
            }
            (Form::Instant { .. }, Of::Int64ColumnReader(reader)) => {
                Self::Instants(values(reader, rows, |at| Ok(micros(at)))?)
            }
            (Form::OldInstant, Of::Int96ColumnReader(reader)) => {
                Self::Instants(values(reader, rows, |at| Ok(at.to_micros()))?)
            }
            (Form::Float, Of::FloatColumnReader(reader)) => {
                Self::Floats(values(reader, rows, |number| Ok(!number.is_nan()))?)
            }
            (Form::Float, Of::DoubleColumnReader(reader)) => {
                Self::Floats(values(reader, rows, |number| Ok(!number.is_nan()))?)
            }
            (Form::Float, Of::FixedLenByteArrayColumnReader(reader)) => {
                Self::Floats(values(reader, rows, |half| Ok(!is_nan_of_16_bits(half.data())))?)
            }
            _ => return Err(damaged("the type of a column is not the one of its values")),
        })
    }

    fn cell(&self, at: usize) -> Option<Cell<'_>> {
        match self {
            Self::Null => None,
            // That it is UTF-8 was checked when it was read.
            Self::Text(texts) => texts[at].as_ref()?.as_utf8().ok().map(Cell::Text),
            Self::Ids(texts) => texts[at].as_deref().map(Cell::Text),
            Self::Flags(flags) => flags[at].map(Cell::Flag),
            Self::Instants(instants) => instants[at].map(Cell::Instant),
            Self::Floats(floats) => floats[at].filter(|is_number| *is_number).map(|_| Cell::Float),
        }
    }
}

/// The next `rows` values of a column, none for null.
fn values<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    convert: impl Fn(T::T) -> Result<V>,
) -> Result<Vec<Option<V>>> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (read, ..) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if read != rows {
        return Err(damaged("a column has fewer values than its row group has rows"));
    }
    let mut values = values.into_iter().map(convert);
    let missing = || damaged("a column has fewer values than it says");
    let mut next = || values.next().unwrap_or_else(|| Err(missing())).map(Some);
    // A column without nulls has no levels.
    if levels.is_empty() {
        return (0..rows).map(|_| next()).collect();
    }
    levels.into_iter().map(|level| if level == 0 { Ok(None) } else { next() }).collect()
}

/// Calls `read`. The decoders of the library panic on some damaged files.
fn unless_it_panics<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged("it is damaged")))
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// The text, if it is one.
fn checked_text(text: ByteArray) -> Result<ByteArray> {
    text.as_utf8()?;
    Ok(text)
}

/// A UUID in the form of RFC 9562.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = data_encoding::HEXLOWER.encode(bytes);
    [8, 13, 18, 23].into_iter().for_each(|at| text.insert(at, '-'));
    text
}

/// Whether 16 bits (IEEE 754, little-endian) are "not a number": all bits of the exponent and one of the fraction are set.
fn is_nan_of_16_bits(bytes: &[u8]) -> bool {
    let bits = bytes.try_into().map_or(0, u16::from_le_bytes);
    bits & 0x7fff > 0x7c00
}

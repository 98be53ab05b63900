//! Parquet: splits a file into batches of rows, and converts batches to cells.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float32Array, Float64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, downcast_integer_array,
};
use arrow_schema::{DataType, TimeUnit};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    },
    errors::ParquetError,
};

use super::{
    bad_rows::Reason,
    cells::{Cell, Cells},
    columns::{Column, ColumnError, Layout},
    source::StageError,
};
use crate::{files::File, tables::cell::ColumnKind};

/// Rows of one batch: few enough to distribute to threads, and enough to read fast.
const BATCH_ROWS: usize = 8_192;
/// DuckDB writes a UUID as so many bytes.
const UUID_BYTES: i32 = 16;

pub(super) struct ParquetPiece {
    batch: RecordBatch,
    /// The number of the first row, counted from 1.
    row: u64,
}

pub(super) struct ParquetSource {
    reader: ParquetRecordBatchReader,
    pub(super) rows_read: u64,
    pub(super) rows_total: u64,
}

impl ParquetSource {
    /// Reads the layout of the rows.
    pub(super) fn open(file: File) -> Result<(Layout, Self), StageError> {
        // Ignores the Arrow schema that a writer may have stored. A column then has the type of its values: dictionaries,
        // views and large strings become plain strings.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
        let fields = builder.schema().fields();
        let mut layout = Layout::from_names(fields.iter().map(|field| field.name().as_str()))?;
        for column in Column::ALL {
            if let Some(position) = layout.position(column) {
                let found = fields[position].data_type();
                check_type(column, found)?;
                layout.has_local_time |= matches!(found, DataType::Timestamp(_, None));
            }
        }
        let rows_total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = builder.with_batch_size(BATCH_ROWS).build()?;
        Ok((layout, Self { reader, rows_read: 0, rows_total }))
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<ParquetPiece>, StageError> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch = batch.map_err(ParquetError::from)?;
        let row = self.rows_read + 1;
        self.rows_read += batch.num_rows() as u64;
        Ok(Some(ParquetPiece { batch, row }))
    }
}

/// A column of any kind may have texts. It may also have no value at all: data frames give such a column a type of its own, or
/// floating-point numbers.
fn check_type(column: Column, found: &DataType) -> Result<(), ColumnError> {
    let kind = column.head().kind;
    let is_id = matches!(column, Column::Account | Column::Device);
    let fits = match found {
        DataType::Utf8 | DataType::Null => true,
        found if found.is_floating() => true,
        found if found.is_integer() => is_id || kind == ColumnKind::Flag,
        DataType::FixedSizeBinary(UUID_BYTES) => is_id,
        DataType::Boolean => kind == ColumnKind::Flag,
        DataType::Timestamp(..) => kind == ColumnKind::Instant,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let expected = match kind {
        ColumnKind::Instant => "a timestamp or a string",
        ColumnKind::Flag => "a boolean or a string",
        _ if is_id => "a string, an integer or a UUID",
        _ => "a string",
    };
    Err(ColumnError::Type { name: column.name(), found: type_name(found), expected })
}

fn type_name(found: &DataType) -> &'static str {
    match found {
        found if found.is_integer() => "an integer, which has no plus sign and no leading zeros",
        DataType::Boolean => "a boolean",
        DataType::Timestamp(..) => "a timestamp",
        DataType::Date32 | DataType::Date64 => "a date without a time",
        DataType::Time32(_) | DataType::Time64(_) => "a time without a date",
        DataType::Binary | DataType::FixedSizeBinary(_) => "bytes without the mark of a text",
        DataType::List(_) => "a list",
        DataType::Struct(_) => "a nested structure",
        DataType::Map(..) => "a map",
        found if found.is_decimal() => "a decimal number",
        _ => "a type that an import does not read",
    }
}

/// Calls `row` for each row of a piece, with its number.
pub(super) fn read(
    piece: &ParquetPiece,
    layout: &Layout,
    mut row: impl FnMut(u64, Result<Cells<'_>, Reason>),
) {
    let arrays = Column::ALL.map(|column| {
        layout.position(column).map(|position| with_text_ids(piece.batch.column(position)))
    });
    let values = arrays.each_ref().map(|array| array.as_ref().map_or(Values::None, Values::of));
    for (number, at) in (piece.row..).zip(0..piece.batch.num_rows()) {
        row(number, Ok(Column::ALL.map(|column| values[column as usize].cell(at))));
    }
}

/// Integers and UUIDs as text, and any other array as it is.
fn with_text_ids(array: &ArrayRef) -> ArrayRef {
    downcast_integer_array!(
        array => {
            let text = array.iter().map(|integer| Some(integer?.to_string()));
            Arc::new(text.collect::<StringArray>())
        }
        DataType::FixedSizeBinary(UUID_BYTES) => {
            let uuids = array.as_any().downcast_ref::<FixedSizeBinaryArray>();
            let text = uuids.into_iter().flatten().map(|uuid| Some(uuid_text(uuid?)));
            Arc::new(text.collect::<StringArray>())
        }
        _ => Arc::clone(array),
    )
}

/// A UUID in the form of RFC 9562.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = data_encoding::HEXLOWER.encode(bytes);
    [8, 13, 18, 23].into_iter().for_each(|at| text.insert(at, '-'));
    text
}

enum Values<'a> {
    None,
    Float(&'a ArrayRef),
    Text(&'a StringArray),
    Bool(&'a BooleanArray),
    Second(&'a TimestampSecondArray),
    Milli(&'a TimestampMillisecondArray),
    Micro(&'a TimestampMicrosecondArray),
    Nano(&'a TimestampNanosecondArray),
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        let any = array.as_any();
        let none = || Self::None;
        match array.data_type() {
            DataType::Utf8 => any.downcast_ref().map_or_else(none, Self::Text),
            DataType::Boolean => any.downcast_ref().map_or_else(none, Self::Bool),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Millisecond => any.downcast_ref().map_or_else(none, Self::Milli),
                TimeUnit::Microsecond => any.downcast_ref().map_or_else(none, Self::Micro),
                TimeUnit::Nanosecond => any.downcast_ref().map_or_else(none, Self::Nano),
                TimeUnit::Second => any.downcast_ref().map_or_else(none, Self::Second),
            },
            found if found.is_floating() => Self::Float(array),
            _ => Self::None,
        }
    }

    fn cell(&self, at: usize) -> Cell<'a> {
        match self {
            Self::Text(array) if array.is_valid(at) => Cell::Text(array.value(at)),
            Self::Bool(array) if array.is_valid(at) => Cell::Flag(array.value(at)),
            Self::Float(array) if is_number(array, at) => Cell::Float,
            // An instant beyond the range of microseconds saturates, and is then refused as one in the future.
            Self::Second(array) if array.is_valid(at) => {
                Cell::Instant(array.value(at).saturating_mul(1_000_000))
            }
            Self::Milli(array) if array.is_valid(at) => {
                Cell::Instant(array.value(at).saturating_mul(1_000))
            }
            Self::Micro(array) if array.is_valid(at) => Cell::Instant(array.value(at)),
            Self::Nano(array) if array.is_valid(at) => {
                Cell::Instant(array.value(at).div_euclid(1_000))
            }
            _ => Cell::Text(""),
        }
    }
}

/// Whether a floating-point array has a number at this index: pandas writes "not a number" for no value.
fn is_number(array: &ArrayRef, at: usize) -> bool {
    let any = array.as_any();
    let double = any.downcast_ref::<Float64Array>().map(|array| array.value(at).is_nan());
    let single = any.downcast_ref::<Float32Array>().map(|array| array.value(at).is_nan());
    array.is_valid(at) && !double.or(single).unwrap_or(false)
}

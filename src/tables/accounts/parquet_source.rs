//! Parquet: splits a file into batches of rows, and converts batches to cells.

use arrow_array::{
    Array, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
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
use crate::{
    files::File,
    tables::cell::{ColumnHead, ColumnKind},
};

/// Rows of one batch: few enough to distribute to threads, and enough to read fast.
const BATCH_ROWS: usize = 8_192;

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
        let layout = Layout::from_names(fields.iter().map(|field| field.name().as_str()))?;
        for column in Column::ALL {
            if let Some(position) = layout.position(column) {
                check_type(column.head(), fields[position].data_type())?;
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

fn check_type(column: ColumnHead, found: &DataType) -> Result<(), ColumnError> {
    let is_utc = |zone: &str| ["UTC", "+00:00"].contains(&zone);
    let (fits, expected) = match (column.kind, found) {
        (_, DataType::Utf8) | (ColumnKind::Flag, DataType::Boolean) => return Ok(()),
        (ColumnKind::Instant, DataType::Timestamp(unit, zone)) => (
            *unit != TimeUnit::Second && zone.as_deref().is_some_and(is_utc),
            "a timestamp in milli-, micro- or nanoseconds adjusted to UTC, or a string",
        ),
        (ColumnKind::Instant, _) => (false, "a timestamp adjusted to UTC, or a string"),
        (ColumnKind::Flag, _) => (false, "a boolean or a string"),
        _ => (false, "a string"),
    };
    if fits { Ok(()) } else { Err(ColumnError::Type(column.name, expected)) }
}

/// Calls `row` for each row of a piece, with its number.
pub(super) fn read(
    piece: &ParquetPiece,
    layout: &Layout,
    mut row: impl FnMut(u64, Result<Cells<'_>, Reason>),
) {
    let values = Column::ALL.map(|column| match layout.position(column) {
        Some(position) => Values::of(piece.batch.column(position)),
        None => Values::None,
    });
    for (number, at) in (piece.row..).zip(0..piece.batch.num_rows()) {
        row(number, Ok(Column::ALL.map(|column| values[column as usize].cell(at))));
    }
}

enum Values<'a> {
    None,
    Text(&'a StringArray),
    Bool(&'a BooleanArray),
    Milli(&'a TimestampMillisecondArray),
    Micro(&'a TimestampMicrosecondArray),
    Nano(&'a TimestampNanosecondArray),
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array) -> Self {
        let any = array.as_any();
        let none = || Self::None;
        match array.data_type() {
            DataType::Utf8 => any.downcast_ref().map_or_else(none, Self::Text),
            DataType::Boolean => any.downcast_ref().map_or_else(none, Self::Bool),
            DataType::Timestamp(unit, _) => match unit {
                TimeUnit::Millisecond => any.downcast_ref().map_or_else(none, Self::Milli),
                TimeUnit::Microsecond => any.downcast_ref().map_or_else(none, Self::Micro),
                TimeUnit::Nanosecond => any.downcast_ref().map_or_else(none, Self::Nano),
                TimeUnit::Second => Self::None,
            },
            _ => Self::None,
        }
    }

    fn cell(&self, at: usize) -> Cell<'a> {
        match self {
            Self::Text(array) if array.is_valid(at) => Cell::Text(array.value(at)),
            Self::Bool(array) if array.is_valid(at) => Cell::Flag(array.value(at)),
            // An instant beyond the range of microseconds saturates, and is then refused as one in the future.
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

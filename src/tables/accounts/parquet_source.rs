//! Parquet: a file as batches of rows, and batches as cells.

use arrow_array::{
    Array, BooleanArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::{
    bad_rows::Reason,
    cells::{Cells, Flag, Time},
    columns::{Column, ColumnError, Layout},
    error::StageError,
};
use crate::files::File;

/// Rows read at once: small enough to share among threads, large enough to be read fast.
const BATCH_ROWS: usize = 8_192;

/// Some rows.
pub(super) struct ParquetPiece {
    batch: RecordBatch,
    /// The number of the first, counted from 1.
    row: u64,
}

/// A file being read.
pub(super) struct ParquetSource {
    reader: ParquetRecordBatchReader,
    pub(super) layout: Layout,
    pub(super) rows_read: u64,
    pub(super) rows_total: u64,
}

impl ParquetSource {
    pub(super) fn new(file: File) -> Result<Self, StageError> {
        // Without the Arrow schema that a writer may have left in the file, a column has the type of its values alone:
        // dictionaries, views and large strings are all plain strings.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
            .map_err(|error| StageError::Parquet(error.into()))?;
        let fields = builder.schema().fields();
        let layout = Layout::from_names(fields.iter().map(|field| field.name().as_str()))?;
        for column in Column::ALL {
            if let Some(place) = layout.place(column) {
                check_type(column, fields[place].data_type())?;
            }
        }
        let rows_total = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader = builder.with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|error| StageError::Parquet(error.into()))?;
        Ok(Self { reader, layout, rows_read: 0, rows_total })
    }

    /// The next rows; nothing at the end.
    pub(super) fn next_piece(&mut self) -> Result<Option<ParquetPiece>, StageError> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch = batch.map_err(|error| StageError::Parquet(error.into()))?;
        let row = self.rows_read + 1;
        self.rows_read += batch.num_rows() as u64;
        Ok(Some(ParquetPiece { batch, row }))
    }
}

fn check_type(column: Column, found: &DataType) -> Result<(), ColumnError> {
    let is_time = |unit: &TimeUnit, zone: Option<&str>| {
        *unit != TimeUnit::Second && zone.is_some_and(|zone| ["UTC", "+00:00"].contains(&zone))
    };
    let is_instant =
        matches!(column, Column::LastCheckInAt | Column::ProvedAt | Column::RegisteredAt);
    let (fits, expected) = match found {
        DataType::Utf8 => (true, ""),
        DataType::Timestamp(unit, zone) if is_instant => (
            is_time(unit, zone.as_deref()),
            "a timestamp in milli-, micro- or nanoseconds adjusted to UTC, or a string",
        ),
        _ if is_instant => (false, "a timestamp adjusted to UTC, or a string"),
        DataType::Boolean if column == Column::Discoverable => (true, ""),
        _ if column == Column::Discoverable => (false, "a boolean or a string"),
        _ => (false, "a string"),
    };
    if fits { Ok(()) } else { Err(ColumnError::Type(column.name(), expected)) }
}

/// Gives each row of a piece to `row`, with its number.
pub(super) fn read(
    piece: &ParquetPiece,
    layout: &Layout,
    mut row: impl FnMut(u64, Result<Cells<'_>, Reason>),
) {
    let values = Column::ALL.map(|column| match layout.place(column) {
        Some(place) => Values::of(piece.batch.column(place)),
        None => Values::None,
    });
    let values = |column: Column| &values[column as usize];
    for (number, at) in (piece.row..).zip(0..piece.batch.num_rows()) {
        let text = |column| values(column).text(at);
        let time = |column| values(column).time(at);
        let cells = Cells {
            handle: text(Column::Handle),
            account: text(Column::Account),
            device: text(Column::Device),
            platform: text(Column::Platform),
            last_check_in_at: time(Column::LastCheckInAt),
            proved_at: time(Column::ProvedAt),
            registered_at: time(Column::RegisteredAt),
            discoverable: values(Column::Discoverable).flag(at),
            name: text(Column::Name),
            token_hash: text(Column::TokenHash),
        };
        row(number, Ok(cells));
    }
}

/// A column's values in one batch.
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

    fn text(&self, at: usize) -> &'a str {
        match self {
            Self::Text(array) if array.is_valid(at) => array.value(at),
            _ => "",
        }
    }

    fn flag(&self, at: usize) -> Flag<'a> {
        match self {
            Self::Bool(array) if array.is_valid(at) => Flag::Bool(array.value(at)),
            _ => Flag::Text(self.text(at)),
        }
    }

    fn time(&self, at: usize) -> Time<'a> {
        match self {
            // Further from the epoch than microseconds reach: an instant that no clock shows, and refused as such.
            Self::Milli(array) if array.is_valid(at) => {
                Time::Micros(array.value(at).saturating_mul(1_000))
            }
            Self::Micro(array) if array.is_valid(at) => Time::Micros(array.value(at)),
            Self::Nano(array) if array.is_valid(at) => {
                Time::Micros(array.value(at).div_euclid(1_000))
            }
            _ => Time::Text(self.text(at)),
        }
    }
}

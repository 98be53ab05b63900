//! Rows as Apache Parquet.

use std::{fmt::Write as _, io, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
    },
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use super::{
    cell::{Cell, ColumnHead, ColumnKind},
    output::Output,
};

const BATCH_ROWS: usize = if cfg!(test) { 16 } else { 8_192 };
/// Rows of one row group: what DuckDB gives to one thread at a time (122,880 at least), and some ten megabytes of memory.
const ROW_GROUP_ROWS: usize = if cfg!(test) { 64 } else { 131_072 };

/// Writes rows in batches. Parquet decides for each row group whether a text column is a dictionary on disk; to readers
/// it is plain text.
pub(super) struct ParquetTable {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    builders: Vec<Builder>,
    rows: usize,
}

enum Builder {
    Text(StringBuilder),
    Instant(TimestampMicrosecondBuilder),
    Flag(BooleanBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
}

impl ParquetTable {
    pub(super) fn new(output: Output, columns: &[ColumnHead]) -> io::Result<Self> {
        let column = |column: &ColumnHead| {
            let (data_type, builder) = Builder::new(column.kind);
            (Field::new(column.name, data_type, column.may_be_null), builder)
        };
        let (fields, builders): (Vec<_>, _) = columns.iter().map(column).unzip();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(output, schema.clone(), Some(properties));
        let writer = writer.map_err(io::Error::other)?;
        Ok(Self { writer, schema, builders, rows: 0 })
    }

    pub(super) fn write<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        self.builders.iter_mut().zip(cells).for_each(|(builder, cell)| builder.append(cell));
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write_batch() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<Output> {
        self.write_batch()?;
        self.writer.into_inner().map_err(io::Error::other)
    }

    fn write_batch(&mut self) -> io::Result<()> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        self.rows = 0;
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        let batch = batch.map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(io::Error::other)
    }
}

impl Builder {
    fn new(kind: ColumnKind) -> (DataType, Self) {
        match kind {
            ColumnKind::Text => (DataType::Utf8, Self::Text(StringBuilder::new())),
            ColumnKind::Instant => {
                let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                let builder = TimestampMicrosecondBuilder::new().with_data_type(utc.clone());
                (utc, Self::Instant(builder))
            }
            ColumnKind::Flag => (DataType::Boolean, Self::Flag(BooleanBuilder::new())),
            ColumnKind::Int32 => (DataType::Int32, Self::Int32(Int32Builder::new())),
            ColumnKind::Int64 => (DataType::Int64, Self::Int64(Int64Builder::new())),
        }
    }

    /// Appends a cell; null if its type is not the column's.
    fn append(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Text(texts), Cell::Text(text)) => texts.append_value(text),
            (Self::Text(texts), Cell::Handle(handle)) => texts.append_value(handle.canonical()),
            (Self::Text(texts), Cell::Shown(value)) => {
                write!(texts, "{value}").expect("a builder of texts takes any text");
                // What was written becomes a value.
                texts.append_value("");
            }
            (Self::Text(texts), _) => texts.append_null(),
            // Saturates beyond the range of Parquet.
            (Self::Instant(instants), Cell::Instant(at)) => {
                instants.append_value(i64::try_from(at.as_micros()).unwrap_or(i64::MAX));
            }
            (Self::Instant(instants), _) => instants.append_null(),
            (Self::Flag(flags), Cell::Flag(flag)) => flags.append_value(flag),
            (Self::Flag(flags), _) => flags.append_null(),
            (Self::Int32(numbers), Cell::Number(number)) => {
                numbers.append_option(i32::try_from(number).ok());
            }
            (Self::Int32(numbers), _) => numbers.append_null(),
            (Self::Int64(numbers), Cell::Number(number)) => {
                numbers.append_value(i64::try_from(number).unwrap_or(i64::MAX));
            }
            (Self::Int64(numbers), _) => numbers.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
            Self::Flag(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
        }
    }
}

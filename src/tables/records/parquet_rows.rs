//! Rows as Apache Parquet.

use std::{fmt::Write as _, sync::Arc};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use super::{
    columns::{Cell, Column},
    encryption::Output,
};
use crate::query_log::LogRow;

/// Rows encoded together.
const BATCH_ROWS: usize = if cfg!(test) { 16 } else { 8_192 };
/// Rows of one row group: what DuckDB gives to one thread at a time (122,880 at least), and some ten megabytes of memory.
const ROW_GROUP_ROWS: usize = if cfg!(test) { 64 } else { 131_072 };
const UTC: &str = "UTC";

/// Writes rows in batches. Text columns are dictionaries on disk as long as that pays, which Parquet decides for each row
/// group; to readers they are plain text.
pub(super) struct ParquetRows {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    columns: [(Column, Builder); 13],
    rows: usize,
}

/// The cells of a column that wait for their batch.
enum Builder {
    Time(TimestampMicrosecondBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Text(StringBuilder),
}

impl ParquetRows {
    pub(super) fn new(output: Output) -> Result<Self, ParquetError> {
        let schema = Arc::new(Schema::new(Column::ALL.map(field).to_vec()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(output, schema.clone(), Some(properties))?;
        let columns = Column::ALL.map(|column| (column, Builder::of(column)));
        Ok(Self { writer, schema, columns, rows: 0 })
    }

    pub(super) fn write(&mut self, row: &LogRow) -> Result<(), ParquetError> {
        for (column, builder) in &mut self.columns {
            builder.append(column.of(row));
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write_batch() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Output, ParquetError> {
        self.write_batch()?;
        self.writer.into_inner()
    }

    fn write_batch(&mut self) -> Result<(), ParquetError> {
        let columns = self.columns.each_mut().map(|(_, builder)| builder.finish());
        self.rows = 0;
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns.to_vec())?)
    }
}

impl Builder {
    fn of(column: Column) -> Self {
        match column {
            Column::At => Self::Time(TimestampMicrosecondBuilder::new()),
            Column::Status => Self::Int(Int32Builder::new()),
            Column::TookUs => Self::Long(Int64Builder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn append(&mut self, cell: Cell<'_>) {
        match self {
            // Later than any clock shows becomes as late as can be written.
            Self::Time(times) => times.append_option(match cell {
                Cell::Time(at) => Some(i64::try_from(at.as_micros()).unwrap_or(i64::MAX)),
                _ => None,
            }),
            Self::Int(numbers) => numbers.append_option(match cell {
                Cell::Number(number) => i32::try_from(number).ok(),
                _ => None,
            }),
            Self::Long(numbers) => numbers.append_option(match cell {
                Cell::Number(number) => Some(number.into()),
                _ => None,
            }),
            Self::Text(texts) => match cell {
                Cell::Code(code) => texts.append_value(code),
                Cell::Handle(handle) => texts.append_value(handle.canonical()),
                Cell::Shown(value) => {
                    write!(texts, "{value}").expect("a builder of texts takes any text");
                    // What was written becomes a value.
                    texts.append_value("");
                }
                Cell::Null | Cell::Time(_) | Cell::Number(_) => texts.append_null(),
            },
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Time(times) => Arc::new(times.finish().with_timezone(UTC)),
            Self::Int(numbers) => Arc::new(numbers.finish()),
            Self::Long(numbers) => Arc::new(numbers.finish()),
            Self::Text(texts) => Arc::new(texts.finish()),
        }
    }
}

fn field(column: Column) -> Field {
    let kind = match column {
        Column::At => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        Column::Status => DataType::Int32,
        Column::TookUs => DataType::Int64,
        _ => DataType::Utf8,
    };
    let may_be_null = !matches!(column, Column::At | Column::Kind);
    Field::new(column.name(), kind, may_be_null)
}

//! The Parquet encoder of an export.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{BooleanBuilder, StringBuilder, TimestampMicrosecondBuilder},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};

use crate::clock::Timestamp;

use super::{
    columns::{Column, ColumnKind},
    export_row::{ExportRow, Output, Value},
};

/// Rows of one Arrow batch.
const BATCH_ROWS: usize = if cfg!(test) { 16 } else { 16_384 };
/// Rows of one row group: some tens of megabytes. Readers distribute their work by row groups.
const ROW_GROUP_ROWS: usize = if cfg!(test) { 64 } else { 1_048_576 };

/// Writes rows in batches.
pub(super) struct ParquetExport {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    builders: [Builder; Column::ALL.len()],
    rows: usize,
}

/// Collects the values of one column.
enum Builder {
    Text(StringBuilder),
    Instant(TimestampMicrosecondBuilder),
    Flag(BooleanBuilder),
}

impl Builder {
    fn new(column: Column) -> Self {
        match column.kind() {
            ColumnKind::Text => Self::Text(StringBuilder::new()),
            ColumnKind::Instant => {
                Self::Instant(TimestampMicrosecondBuilder::new().with_data_type(data_type(column)))
            }
            ColumnKind::Flag => Self::Flag(BooleanBuilder::new()),
        }
    }

    fn append(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Text(builder), Value::Text(text)) => builder.append_option(text),
            (Self::Instant(builder), Value::Instant(at)) => builder.append_option(at.map(micros)),
            (Self::Flag(builder), Value::Flag(flag)) => builder.append_value(flag),
            _ => unreachable!("a value has the kind of its column"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Instant(builder) => Arc::new(builder.finish()),
            Self::Flag(builder) => Arc::new(builder.finish()),
        }
    }
}

impl ParquetExport {
    pub(super) fn new(output: Output) -> Result<Self, ParquetError> {
        let schema = Arc::new(Schema::new(Column::ALL.map(field).to_vec()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(output, schema.clone(), Some(properties))?;
        Ok(Self { writer, schema, builders: Column::ALL.map(Builder::new), rows: 0 })
    }

    pub(super) fn write(&mut self, row: &ExportRow<'_>) -> Result<(), ParquetError> {
        for (builder, column) in self.builders.iter_mut().zip(Column::ALL) {
            builder.append(row.value(column));
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write_batch() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Output, ParquetError> {
        self.write_batch()?;
        self.writer.into_inner()
    }

    fn write_batch(&mut self) -> Result<(), ParquetError> {
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        self.rows = 0;
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

fn data_type(column: Column) -> DataType {
    match column.kind() {
        ColumnKind::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnKind::Flag => DataType::Boolean,
        ColumnKind::Text => DataType::Utf8,
    }
}

fn field(column: Column) -> Field {
    let may_be_null = matches!(
        column,
        Column::ProvedAt | Column::RegisteredAt | Column::Name | Column::TokenHash
    );
    Field::new(column.name(), data_type(column), may_be_null)
}

/// Saturates beyond the range of Parquet.
fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

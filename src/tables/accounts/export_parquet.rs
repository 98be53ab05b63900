//! An export as Parquet.

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
    columns::Column,
    export::{ExportRow, Output},
};

/// Rows encoded together.
const BATCH_ROWS: usize = if cfg!(test) { 16 } else { 16_384 };
/// Rows of one row group: some tens of megabytes, which is what readers share work by.
const ROW_GROUP_ROWS: usize = if cfg!(test) { 64 } else { 1_048_576 };
const UTC: &str = "UTC";

/// Writes rows in batches.
pub(super) struct ParquetExport {
    writer: ArrowWriter<Output>,
    schema: SchemaRef,
    texts: [StringBuilder; 6],
    times: [TimestampMicrosecondBuilder; 3],
    discoverable: BooleanBuilder,
    rows: usize,
}

impl ParquetExport {
    pub(super) fn new(output: Output) -> Result<Self, ParquetError> {
        let schema = Arc::new(Schema::new(Column::ALL.map(field).to_vec()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(output, schema.clone(), Some(properties))?;
        Ok(Self {
            writer,
            schema,
            texts: Default::default(),
            times: Default::default(),
            discoverable: BooleanBuilder::new(),
            rows: 0,
        })
    }

    pub(super) fn write(&mut self, row: &ExportRow<'_>) -> Result<(), ParquetError> {
        let device = row.device;
        let [handle, account, id, platform, name, token_hash] = &mut self.texts;
        handle.append_value(row.claim.map_or("".into(), |claim| claim.handle.canonical()));
        account.append_value(row.account.to_string());
        id.append_value(device.device.to_string());
        platform.append_value(device.platform.code());
        name.append_option(device.name.as_deref());
        token_hash.append_option(device.token_hash.map(|h| data_encoding::HEXLOWER.encode(&h)));
        let [last_check_in_at, proved_at, registered_at] = &mut self.times;
        last_check_in_at.append_value(micros(device.last_check_in_at));
        proved_at.append_option(row.claim.and_then(|claim| claim.proved_at).map(micros));
        registered_at.append_option(device.registered_at.map(micros));
        self.discoverable.append_value(row.claim.is_none_or(|claim| claim.discoverable));
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.write_batch() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Output, ParquetError> {
        self.write_batch()?;
        self.writer.into_inner()
    }

    fn write_batch(&mut self) -> Result<(), ParquetError> {
        let [handle, account, device, platform, name, token_hash] = &mut self.texts;
        let [last_check_in_at, proved_at, registered_at] = &mut self.times;
        let columns = Column::ALL.map(|column| -> ArrayRef {
            let time = |builder: &mut TimestampMicrosecondBuilder| -> ArrayRef {
                Arc::new(builder.finish().with_timezone(UTC))
            };
            match column {
                Column::Handle => Arc::new(handle.finish()),
                Column::Account => Arc::new(account.finish()),
                Column::Device => Arc::new(device.finish()),
                Column::Platform => Arc::new(platform.finish()),
                Column::LastCheckInAt => time(last_check_in_at),
                Column::ProvedAt => time(proved_at),
                Column::RegisteredAt => time(registered_at),
                Column::Discoverable => Arc::new(self.discoverable.finish()),
                Column::Name => Arc::new(name.finish()),
                Column::TokenHash => Arc::new(token_hash.finish()),
            }
        });
        self.rows = 0;
        let batch = RecordBatch::try_new(self.schema.clone(), columns.to_vec())?;
        self.writer.write(&batch)
    }
}

fn field(column: Column) -> Field {
    let kind = match column {
        Column::LastCheckInAt | Column::ProvedAt | Column::RegisteredAt => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
        }
        Column::Discoverable => DataType::Boolean,
        _ => DataType::Utf8,
    };
    let may_be_null = matches!(
        column,
        Column::ProvedAt | Column::RegisteredAt | Column::Name | Column::TokenHash
    );
    Field::new(column.name(), kind, may_be_null)
}

/// Later than any clock shows becomes as late as can be written.
fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX)
}

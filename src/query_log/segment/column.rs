//! The columns: what a row has in each, and their encodings.
//!
//! | column | type | content |
//! | --- | --- | --- |
//! | `phone` | INT64, optional | [`PhoneKey::bits`](crate::handle::PhoneKey::bits); page bounds |
//! | `email` | UTF8, optional | the canonical address; page bounds, not truncated |
//! | `at` | UINT32 | microseconds since the hour began; page bounds |
//! | `request` | INT64, optional | [`RequestId::count`](crate::ids::RequestId::count) of a lookup |
//! | `change` | INT64, optional | the id of a change, or a number of refusals |
//! | `client` | UINT32 | the index in the row group's client table |
//! | `took_us` | UINT32 | as in the record; 0 if it is not a lookup |
//! | `outcome` | UINT32 | kind; route, reason and status, or change and cause, or the problem: see `outcome.rs` |

use std::{io, sync::Arc};

use bytes::Bytes;
use parquet::{
    basic::{
        Compression, ConvertedType, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel,
    },
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
    schema::types::{ColumnPath, Type, TypePtr},
};

use super::{column_writer::ColumnWriter, outcome, row::Row};
use crate::query_log::segment_error::SealError;

/// A column; the discriminant is its index in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Phone,
    Email,
    At,
    Request,
    Change,
    Client,
    TookUs,
    Outcome,
}

impl Column {
    pub(super) const ALL: [Self; 8] = [
        Self::Phone,
        Self::Email,
        Self::At,
        Self::Request,
        Self::Change,
        Self::Client,
        Self::TookUs,
        Self::Outcome,
    ];

    /// The columns of 32-bit numbers, which every row has.
    pub(super) const NUMBERS: [Self; 4] = [Self::At, Self::Client, Self::TookUs, Self::Outcome];

    fn name(self) -> &'static str {
        let names = ["phone", "email", "at", "request", "change", "client", "took_us", "outcome"];
        names[self as usize]
    }

    const fn may_be_null(self) -> bool {
        matches!(self, Self::Phone | Self::Email | Self::Request | Self::Change)
    }

    /// Only columns by which a search skips pages have bounds, because every reader must read the footer first.
    const fn has_bounds(self) -> bool {
        matches!(self, Self::Phone | Self::Email | Self::At)
    }

    /// The encoding of a page, chosen by measured bytes a row.
    const fn encoding(self) -> Encoding {
        match self {
            // Sorted values, or values close to each other.
            Self::Phone | Self::Request | Self::Client => Encoding::DELTA_BINARY_PACKED,
            Self::Email => Encoding::DELTA_BYTE_ARRAY,
            // Random values.
            Self::At | Self::Change => Encoding::PLAIN,
            // Values with nearly the same upper bytes.
            Self::TookUs | Self::Outcome => Encoding::BYTE_STREAM_SPLIT,
        }
    }

    const fn is_compressed(self) -> bool {
        matches!(self, Self::Email | Self::TookUs | Self::Outcome)
    }

    fn schema(self) -> Result<TypePtr, ParquetError> {
        let physical = match self {
            Self::Phone | Self::Request | Self::Change => Physical::INT64,
            Self::Email => Physical::BYTE_ARRAY,
            _ => Physical::INT32,
        };
        let builder = Type::primitive_type_builder(self.name(), physical);
        let builder = match self {
            Self::Email => builder
                .with_logical_type(Some(LogicalType::String))
                .with_converted_type(ConvertedType::UTF8),
            Self::Phone | Self::Request | Self::Change => builder,
            _ => builder
                .with_logical_type(Some(LogicalType::integer(32, false)))
                .with_converted_type(ConvertedType::UINT_32),
        };
        let repetition =
            if self.may_be_null() { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        builder.with_repetition(repetition).build().map(Arc::new)
    }
}

/// Writes what the rows have in each column.
pub(super) fn write<W: io::Write + Send>(
    writer: &mut ColumnWriter<'_, '_, W>,
    texts: &Bytes,
) -> Result<(), SealError> {
    let id = |row: &Row| row.id.cast_signed();
    for column in Column::ALL {
        match column {
            Column::Phone => writer.optional::<Int64Type>(|row| row.phone().map(u64::cast_signed)),
            Column::Email => writer.optional::<ByteArrayType>(|row| {
                row.email().map(|range| ByteArray::from(texts.slice(range)))
            }),
            Column::At => writer.numbers(|row| row.at),
            Column::Request => {
                writer.optional::<Int64Type>(|row| outcome::is_lookup(row.outcome).then(|| id(row)))
            }
            Column::Change => writer
                .optional::<Int64Type>(|row| (!outcome::is_lookup(row.outcome)).then(|| id(row))),
            Column::Client => writer.numbers(|row| row.client),
            Column::TookUs => writer.numbers(|row| row.took_us),
            Column::Outcome => writer.numbers(|row| row.outcome),
        }?;
    }
    Ok(())
}

/// A row whose numbers `number` gives, column by column. Its handle and its id are the caller's to add.
pub(super) fn read(number: impl Fn(Column) -> Option<u32>) -> Option<Row> {
    Some(Row {
        handle: 0,
        id: 0,
        at: number(Column::At)?,
        client: number(Column::Client)?,
        took_us: number(Column::TookUs)?,
        outcome: number(Column::Outcome)?,
    })
}

pub(super) fn schema() -> Result<TypePtr, ParquetError> {
    let fields: Result<Vec<_>, _> = Column::ALL.into_iter().map(Column::schema).collect();
    Type::group_type_builder("row").with_fields(fields?).build().map(Arc::new)
}

/// The writer's properties: pages of `page_rows` rows in every column, whatever their bytes.
pub(super) fn properties(page_rows: usize) -> Result<WriterPropertiesPtr, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by("dispatchd".to_owned())
        .set_write_batch_size(page_rows)
        .set_data_page_row_count_limit(page_rows)
        .set_data_page_size_limit(usize::MAX)
        .set_max_row_group_row_count(None)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_index_truncate_length(None)
        .set_statistics_truncate_length(None);
    for column in Column::ALL {
        let path = || ColumnPath::from(column.name());
        builder = builder.set_column_encoding(path(), column.encoding());
        if column.has_bounds() {
            builder = builder.set_column_statistics_enabled(path(), EnabledStatistics::Page);
        }
        if column.is_compressed() {
            let level = ZstdLevel::try_new(1)?;
            builder = builder.set_column_compression(path(), Compression::ZSTD(level));
        }
    }
    Ok(Arc::new(builder.build()))
}

//! The columns and their encodings.

use std::sync::Arc;

use parquet::{
    basic::{
        Compression, ConvertedType, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel,
    },
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
    schema::types::{ColumnPath, Type, TypePtr},
};

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

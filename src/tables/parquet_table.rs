//! Rows as Apache Parquet.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::{ParquetError, Result},
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};

use super::{
    cell::{Cell, ColumnHead, ColumnKind},
    output::Output,
};

/// Rows of one row group: what DuckDB gives to one thread at a time (122,880 at least), and some ten megabytes of memory.
const ROW_GROUP_ROWS: usize = if cfg!(test) { 64 } else { 131_072 };

/// Collects the rows of a row group column by column, and writes them. Parquet decides for each row group whether a text
/// column is a dictionary on disk; to readers it is plain text.
pub(super) struct ParquetTable {
    writer: SerializedFileWriter<Output>,
    columns: Vec<Column>,
    rows: usize,
}

/// The cells of a column since the last row group.
struct Column {
    values: Values,
    /// For each row 1 if it has a value, 0 if it is null; nothing if the column has no nulls.
    levels: Vec<i16>,
    may_be_null: bool,
}

/// The values of a column, without the nulls.
enum Values {
    /// All texts behind one another, and where each ends.
    Texts {
        bytes: Vec<u8>,
        ends: Vec<usize>,
    },
    Flags(Vec<bool>),
    Int32(Vec<i32>),
    /// Numbers, or microseconds of instants.
    Int64(Vec<i64>),
}

impl ParquetTable {
    pub(super) fn new(output: Output, columns: &[ColumnHead]) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let schema = schema(columns).map_err(io::Error::other)?;
        let writer = SerializedFileWriter::new(output, schema, Arc::new(properties));
        let writer = writer.map_err(io_error)?;
        Ok(Self { writer, columns: columns.iter().map(Column::new).collect(), rows: 0 })
    }

    pub(super) fn write<'a>(&mut self, cells: impl Iterator<Item = Cell<'a>>) -> io::Result<()> {
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.append(cell));
        self.rows += 1;
        if self.rows >= ROW_GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<Output> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.into_inner().map_err(io_error)
    }

    fn write_group(&mut self) -> io::Result<()> {
        self.rows = 0;
        let mut write = || -> Result<()> {
            let mut group = self.writer.next_row_group()?;
            for column in &mut self.columns {
                let missing = || ParquetError::General("the schema has too few columns".into());
                let mut writer = group.next_column()?.ok_or_else(missing)?;
                column.write(&mut writer)?;
                writer.close()?;
            }
            group.close().map(drop)
        };
        write().map_err(io_error)
    }
}

/// The error of the output itself, if that failed: a pipe that is closed must be seen as one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => {
            cause.downcast::<io::Error>().map_or_else(io::Error::other, |cause| *cause)
        }
        error => io::Error::other(error),
    }
}

fn schema(columns: &[ColumnHead]) -> Result<TypePtr> {
    let column = |column: &ColumnHead| {
        let (physical, logical) = match column.kind {
            ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            ColumnKind::Instant => {
                let utc = LogicalType::timestamp(true, TimeUnit::MICROS);
                (Physical::INT64, Some(utc))
            }
            ColumnKind::Flag => (Physical::BOOLEAN, None),
            ColumnKind::Int32 => (Physical::INT32, None),
            ColumnKind::Int64 => (Physical::INT64, None),
        };
        let repetition =
            if column.may_be_null { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(repetition)
            .build()
            .map(Arc::new)
    };
    let fields: Result<Vec<_>> = columns.iter().map(column).collect();
    Type::group_type_builder("row").with_fields(fields?).build().map(Arc::new)
}

impl Column {
    fn new(head: &ColumnHead) -> Self {
        let values = match head.kind {
            ColumnKind::Text => Values::Texts { bytes: Vec::new(), ends: Vec::new() },
            ColumnKind::Flag => Values::Flags(Vec::new()),
            ColumnKind::Int32 => Values::Int32(Vec::new()),
            ColumnKind::Instant | ColumnKind::Int64 => Values::Int64(Vec::new()),
        };
        Self { values, levels: Vec::new(), may_be_null: head.may_be_null }
    }

    fn append(&mut self, cell: Cell<'_>) {
        let is_value = self.values.append(cell);
        if self.may_be_null {
            self.levels.push(i16::from(is_value));
        }
    }

    /// Writes the cells and forgets them.
    fn write(&mut self, writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let levels = self.may_be_null.then_some(self.levels.as_slice());
        match &mut self.values {
            Values::Texts { bytes, ends } => {
                let bytes = Bytes::from(std::mem::take(bytes));
                let mut start = 0;
                let text =
                    |end| ByteArray::from(bytes.slice(std::mem::replace(&mut start, end)..end));
                let texts: Vec<_> = ends.drain(..).map(text).collect();
                writer.typed::<ByteArrayType>().write_batch(&texts, levels, None)?;
            }
            Values::Flags(flags) => {
                writer.typed::<BoolType>().write_batch(flags, levels, None)?;
                flags.clear();
            }
            Values::Int32(numbers) => {
                writer.typed::<Int32Type>().write_batch(numbers, levels, None)?;
                numbers.clear();
            }
            Values::Int64(numbers) => {
                writer.typed::<Int64Type>().write_batch(numbers, levels, None)?;
                numbers.clear();
            }
        }
        self.levels.clear();
        Ok(())
    }
}

impl Values {
    /// Appends a cell. False if it is null, or of a type that is not the column's.
    fn append(&mut self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Texts { bytes, ends }, cell) => {
                // A vector takes every byte.
                let _ = match cell {
                    Cell::Text(text) => bytes.write_all(text.as_bytes()),
                    Cell::Name(name) => bytes.write_all(name.as_bytes()),
                    Cell::Handle(handle) => bytes.write_all(handle.canonical().as_bytes()),
                    Cell::Shown(value) => write!(bytes, "{value}"),
                    _ => return false,
                };
                ends.push(bytes.len());
                true
            }
            // Saturates beyond the range of Parquet.
            (Self::Int64(numbers), Cell::Instant(at)) => {
                numbers.push(i64::try_from(at.as_micros()).unwrap_or(i64::MAX));
                true
            }
            (Self::Int64(numbers), Cell::Number(number)) => {
                numbers.push(i64::try_from(number).unwrap_or(i64::MAX));
                true
            }
            (Self::Int32(numbers), Cell::Number(number)) => {
                let number = i32::try_from(number).ok();
                numbers.extend(number);
                number.is_some()
            }
            (Self::Flags(flags), Cell::Flag(flag)) => {
                flags.push(flag);
                true
            }
            _ => false,
        }
    }
}

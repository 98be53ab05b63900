//! The types of a Parquet file's columns, and which of them an import reads.

use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical},
    schema::types::Type,
};

use super::columns::{Column, ColumnError};
use crate::tables::cell::ColumnKind;

/// DuckDB writes a UUID as so many bytes.
const UUID_BYTES: i32 = 16;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// No value at all.
    Null,
    Text,
    Flag,
    Integer {
        is_signed: bool,
    },
    Float,
    Uuid,
    /// Units since the epoch.
    Instant {
        unit: TimeUnit,
        is_utc: bool,
    },
    /// Nanoseconds of a Julian day, as old writers store instants. They have no zone.
    OldInstant,
}

impl Form {
    /// The form of a column, if an import reads such values into it. A column of any kind may have texts. It may also have no
    /// value at all: data frames give such a column a type of its own, or floating-point numbers.
    pub(super) fn of(column: Column, found: &Type) -> Result<Self, ColumnError> {
        let kind = column.head().kind;
        let is_id = matches!(column, Column::Account | Column::Device);
        let form = form(found);
        let fits = form.is_ok_and(|form| match form {
            Self::Null | Self::Text | Self::Float => true,
            Self::Integer { .. } => is_id || kind == ColumnKind::Flag,
            Self::Uuid => is_id,
            Self::Flag => kind == ColumnKind::Flag,
            Self::Instant { .. } | Self::OldInstant => kind == ColumnKind::Instant,
        });
        if let (Ok(form), true) = (form, fits) {
            return Ok(form);
        }
        let expected = match kind {
            ColumnKind::Instant => "a timestamp or a string",
            ColumnKind::Flag => "a boolean or a string",
            _ if is_id => "a string, an integer or a UUID",
            _ => "a string",
        };
        let found = match form {
            Ok(Self::Integer { .. }) if kind == ColumnKind::Instant => {
                "an integer of no known unit"
            }
            Ok(form) => form.name(),
            Err(other) => other,
        };
        Err(ColumnError::Type { name: column.name(), found, expected })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Text => "a string",
            Self::Flag => "a boolean",
            Self::Integer { .. } => "an integer, which has no plus sign and no leading zeros",
            Self::Float => "a floating-point number",
            Self::Uuid => "bytes without the mark of a text",
            Self::Instant { .. } | Self::OldInstant => "a timestamp",
        }
    }

    pub(super) const fn is_local_time(self) -> bool {
        matches!(self, Self::Instant { is_utc: false, .. } | Self::OldInstant)
    }
}

/// The form of a column, or the name of a type that no import reads.
fn form(found: &Type) -> Result<Form, &'static str> {
    let info = found.get_basic_info();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    let Type::PrimitiveType { physical_type, type_length, .. } = found else {
        return Err(match (logical, converted) {
            (Some(LogicalType::List), _) | (None, ConvertedType::LIST) => "a list",
            (Some(LogicalType::Map), _) | (None, ConvertedType::MAP) => "a map",
            _ => "a nested structure",
        });
    };
    if info.has_repetition() && info.repetition() == Repetition::REPEATED {
        return Err("a list");
    }
    let instant = |unit, is_utc| Ok(Form::Instant { unit, is_utc });
    match (logical, converted) {
        (Some(LogicalType::Unknown), _) => return Ok(Form::Null),
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => {
            return Err("a decimal number");
        }
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => {
            return Err("a date without a time");
        }
        (Some(LogicalType::Time(_)), _)
        | (None, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => {
            return Err("a time without a date");
        }
        (Some(LogicalType::Timestamp(at)), _) => return instant(at.unit, at.is_adjusted_to_u_t_c),
        (None, ConvertedType::TIMESTAMP_MILLIS) => return instant(TimeUnit::MILLIS, true),
        (None, ConvertedType::TIMESTAMP_MICROS) => return instant(TimeUnit::MICROS, true),
        (Some(LogicalType::Float16), _) => return Ok(Form::Float),
        _ => {}
    }
    let is_text =
        matches!(logical, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json))
            || matches!(converted, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON);
    let is_unsigned = matches!(logical, Some(LogicalType::Integer(it)) if !it.is_signed)
        || matches!(
            converted,
            ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64
        );
    match physical_type {
        Physical::BOOLEAN => Ok(Form::Flag),
        Physical::INT32 | Physical::INT64 => Ok(Form::Integer { is_signed: !is_unsigned }),
        Physical::INT96 => Ok(Form::OldInstant),
        Physical::FLOAT | Physical::DOUBLE => Ok(Form::Float),
        Physical::BYTE_ARRAY if is_text => Ok(Form::Text),
        Physical::FIXED_LEN_BYTE_ARRAY if *type_length == UUID_BYTES => Ok(Form::Uuid),
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => {
            Err("bytes without the mark of a text")
        }
    }
}

#[cfg(test)]
mod tests {
    use parquet::schema::parser::parse_message_type;

    use super::*;

    #[test]
    fn every_type_has_a_form_or_a_name() {
        let schema = "message row {
            optional group a (LIST) { repeated group list { optional int32 element; } }
            optional group b (MAP) { repeated group key_value { required int32 key; } }
            optional group c { optional int32 x; }
            repeated int32 d;
            optional int32 e (DECIMAL(5,2));
            optional int64 f (TIME(MICROS,true));
            optional fixed_len_byte_array(4) g;
            optional binary h (ENUM);
            optional binary i (JSON);
            optional int64 j (UINT_64);
            optional int32 k (INTEGER(16,false));
            optional int64 l (TIMESTAMP_MILLIS);
        }";
        let schema = parse_message_type(schema).unwrap();
        let forms: Vec<_> = schema.get_fields().iter().map(|field| form(field)).collect();
        let unsigned = Form::Integer { is_signed: false };
        let expected = [
            Err("a list"),
            Err("a map"),
            Err("a nested structure"),
            Err("a list"),
            Err("a decimal number"),
            Err("a time without a date"),
            Err("bytes without the mark of a text"),
            Ok(Form::Text),
            Ok(Form::Text),
            Ok(unsigned),
            Ok(unsigned),
            Ok(Form::Instant { unit: TimeUnit::MILLIS, is_utc: true }),
        ];
        assert_eq!(forms, expected);
    }
}

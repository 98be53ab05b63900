//! Parquet files of other writers.

use std::{fs::File, sync::Arc};

use parquet::{
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    data_type::{
        BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
        Int64Type, Int96, Int96Type,
    },
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::parser::parse_message_type,
};

use super::*;
use crate::tables::accounts::Note;

const MILLIS: i64 = 1_795_420_800_123;

/// The values of a column, none for null.
#[derive(Clone)]
enum Values {
    Texts(Vec<Option<&'static str>>),
    Bytes(Vec<Option<[u8; 16]>>),
    Halves(Vec<Option<[u8; 2]>>),
    Flags(Vec<Option<bool>>),
    Int32(Vec<Option<i32>>),
    Int64(Vec<Option<i64>>),
    Int96(Vec<Option<Int96>>),
    Floats(Vec<Option<f32>>),
    Doubles(Vec<Option<f64>>),
}
use Values::{Bytes, Doubles, Flags, Floats, Halves, Texts};

fn write_values<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    values: &[Option<impl Clone + Into<T::T>>],
    is_nullable: bool,
) {
    let levels: Vec<_> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.iter().flatten().cloned().map(Into::into).collect();
    let levels = is_nullable.then_some(&levels[..]);
    writer.typed::<T>().write_batch(&values, levels, None).unwrap();
}

impl Values {
    fn write(&self, writer: &mut SerializedColumnWriter<'_>, is_nullable: bool) {
        match self {
            Self::Texts(values) => write_values::<ByteArrayType>(writer, values, is_nullable),
            Self::Bytes(values) => {
                let values: Vec<_> =
                    values.iter().map(|value| value.map(|value| value.to_vec())).collect();
                write_values::<FixedLenByteArrayType>(writer, &values, is_nullable);
            }
            Self::Halves(values) => {
                let values: Vec<_> =
                    values.iter().map(|value| value.map(|value| value.to_vec())).collect();
                write_values::<FixedLenByteArrayType>(writer, &values, is_nullable);
            }
            Self::Flags(values) => write_values::<BoolType>(writer, values, is_nullable),
            Self::Int32(values) => write_values::<Int32Type>(writer, values, is_nullable),
            Self::Int64(values) => write_values::<Int64Type>(writer, values, is_nullable),
            Self::Int96(values) => write_values::<Int96Type>(writer, values, is_nullable),
            Self::Floats(values) => write_values::<FloatType>(writer, values, is_nullable),
            Self::Doubles(values) => write_values::<DoubleType>(writer, values, is_nullable),
        }
    }
}

/// A column: its type, its name, what its values mean, and the values. `optional int64`, `proved_at`, `TIMESTAMP(MILLIS,true)`.
type ColumnOf = (&'static str, &'static str, &'static str, Values);

/// A file with these columns of two rows, besides the required ones that are not among them.
fn file(import: &Import, columns: &[ColumnOf]) -> PathBuf {
    compressed(import, columns, Compression::SNAPPY)
}

fn text(name: &'static str, one: &'static str, other: &'static str) -> ColumnOf {
    ("optional binary", name, "STRING", Texts(vec![Some(one), Some(other)]))
}

fn compressed(import: &Import, columns: &[ColumnOf], codec: Compression) -> PathBuf {
    let mut all = vec![
        text("handle", "Ann@Example.com", "bad"),
        text("account", "ann", "ben"),
        text("device", "phone", "tablet"),
        text("platform", "ios", "ios"),
        text("last_check_in_at", "2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z"),
    ];
    all.retain(|(_, name, ..)| columns.iter().all(|other| !name.eq_ignore_ascii_case(other.1)));
    all.extend(columns.iter().cloned());
    let field = |(kind, name, meaning, _): &ColumnOf| match *meaning {
        "" => format!("{kind} {name};"),
        _ => format!("{kind} {name} ({meaning});"),
    };
    let schema = format!("message row {{ {} }}", all.iter().map(field).collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let path = import.dir.path().join("people.parquet");
    let properties = WriterProperties::builder().set_compression(codec).build();
    let output = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(output, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (kind, _, _, values) in &all {
        let mut column = group.next_column().unwrap().unwrap();
        values.write(&mut column, kind.starts_with("optional"));
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn strings_and_instants_of_every_kind_are_read() {
    let import = Import::new();
    let path = file(
        &import,
        &[
            text("handle", "+14155550123", "ben@example.com"),
            // Old writers name the meaning of a text so.
            ("required binary", "account", "UTF8", Texts(vec![Some("ann"), Some("ben")])),
            (
                "required int64",
                "last_check_in_at",
                "TIMESTAMP(MILLIS,true)",
                Values::Int64(vec![Some(MILLIS), Some(MILLIS)]),
            ),
            (
                "optional int64",
                "proved_at",
                "TIMESTAMP_MICROS",
                Values::Int64(vec![Some(MILLIS * 1_000 + 4), None]),
            ),
            (
                "optional int64",
                "registered_at",
                "TIMESTAMP(NANOS,true)",
                Values::Int64(vec![None, Some(MILLIS * 1_000_000 + 5_999)]),
            ),
            ("optional boolean", "discoverable", "", Flags(vec![Some(false), None])),
        ],
    );
    let staged = import.stage(&path).unwrap();
    let accounts = accounts(&staged.path);
    let at = |micros: i64| Timestamp::from_micros((MILLIS * 1_000 + micros) as u64);
    let ann = accounts.iter().find(|account| !account.claims[0].discoverable).unwrap();
    let ben = accounts.iter().find(|account| account.claims[0].discoverable).unwrap();
    assert_eq!(ann.devices[0].last_check_in_at, at(0));
    assert_eq!(ann.claims[0].proved_at, Some(at(4)));
    assert_eq!((ben.claims[0].proved_at, ben.devices[0].registered_at), (None, Some(at(5))));
    assert_eq!(handles_of(&accounts), ["+14155550123", "ben@example.com"]);
}

fn handles_of(accounts: &[TransferAccount]) -> Vec<String> {
    handles(accounts).into_iter().map(|(handle, _)| handle).collect()
}

#[test]
fn every_compression_that_writers_use_is_read() {
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let import = Import::skipping_bad();
        let staged = import.stage(&compressed(&import, &[], codec)).unwrap();
        assert_eq!(handles_of(&accounts(&staged.path)), ["ann@example.com"], "{codec}");
    }
}

#[test]
fn rows_are_numbered_from_one() {
    let import = Import::skipping_bad();
    let before_the_epoch = Values::Int64(vec![Some(1), Some(-1)]);
    let staged = import.stage(&file(&import, &[])).unwrap();
    assert_eq!(faults(&staged.bad), [(2, "the handle is invalid: not-a-number".into())]);
    let path = file(
        &import,
        &[
            ("optional binary", "handle", "STRING", Texts(vec![None, None])),
            ("required int64", "last_check_in_at", "TIMESTAMP(MICROS,true)", before_the_epoch),
        ],
    );
    let staged = import.stage(&path).unwrap();
    let reason =
        "last_check_in_at is not an instant such as 2026-11-23T08:41:07Z (RFC 3339)".to_owned();
    assert_eq!(faults(&staged.bad), [(2, reason)]);
    assert!(accounts(&staged.path)[0].claims.is_empty(), "null is empty");
}

#[test]
fn ids_may_be_integers_or_uuids_and_columns_may_have_no_value() {
    let import = Import::skipping_bad();
    let columns = [
        ("optional int64", "ACCOUNT", "", Values::Int64(vec![Some(17), Some(-4)])),
        (
            "optional fixed_len_byte_array(16)",
            "Device",
            "UUID",
            Bytes(vec![Some([0xAB; 16]), Some([1; 16])]),
        ),
        ("optional int32", "Name", "UNKNOWN", Values::Int32(vec![None, None])),
        ("optional double", "token_hash", "", Doubles(vec![Some(f64::NAN), None])),
        (
            "optional int32",
            "discoverable",
            "INTEGER(8,true)",
            Values::Int32(vec![Some(0), Some(1)]),
        ),
        ("optional int64", "__index_level_0__", "", Values::Int64(vec![Some(5), Some(6)])),
    ];
    let staged = import.stage(&file(&import, &columns)).unwrap();
    assert_eq!(staged.notes, [Note::IndexColumn]);
    let read = accounts(&staged.path);
    // As a CSV file has them.
    let row =
        "Ann@example.com,17,abababab-abab-abab-abab-abababababab,ios,2026-11-20T08:00:00Z,,0,";
    assert_eq!(read, import.staged(&[row]).0);
}

#[test]
fn instants_without_a_zone_are_utc() {
    let import = Import::skipping_bad();
    let local = Values::Int64(vec![Some(MILLIS * 1_000), Some(MILLIS * 1_000)]);
    let local = ("optional int64", "last_check_in_at", "TIMESTAMP(MICROS,false)", local);
    let staged = import.stage(&file(&import, &[local])).unwrap();
    assert_eq!(staged.notes, [Note::LocalTime]);
    let at = Timestamp::from_micros(MILLIS as u64 * 1_000);
    assert_eq!(accounts(&staged.path)[0].devices[0].last_check_in_at, at);
    // As Spark and Impala used to: nanoseconds of the day, and the Julian day.
    let (day, nanos) = (MILLIS / 86_400_000 + 2_440_588, MILLIS % 86_400_000 * 1_000_000);
    let old = Int96::from(vec![nanos as u32, (nanos >> 32) as u32, day as u32]);
    let old = Values::Int96(vec![Some(old), Some(old)]);
    let old = ("optional int96", "last_check_in_at", "", old);
    let staged = import.stage(&file(&import, &[old])).unwrap();
    assert_eq!(staged.notes, [Note::LocalTime]);
    assert_eq!(accounts(&staged.path)[0].devices[0].last_check_in_at, at);
}

#[test]
fn a_floating_point_number_is_a_bad_row() {
    for name in ["handle", "account", "last_check_in_at", "discoverable", "name"] {
        let import = Import::skipping_bad();
        let number = match name {
            "account" => ("optional float", name, "", Floats(vec![Some(f32::NAN), Some(7.0)])),
            "name" => (
                "optional fixed_len_byte_array(2)",
                name,
                "FLOAT16",
                Halves(vec![Some([1, 0x7e]), Some([0, 0x7c])]),
            ),
            _ => ("optional double", name, "", Doubles(vec![None, Some(4_915_123_456_789.0)])),
        };
        let columns = [text("handle", "ann@example.com", "ben@example.com"), number];
        let columns = if name == "handle" { &columns[1..] } else { &columns[..] };
        let staged = import.stage(&file(&import, columns)).unwrap();
        let reason = format!(
            "{name} is a floating-point number, which may have lost digits; write the column as text"
        );
        assert!(faults(&staged.bad).contains(&(2, reason)), "{:?}", faults(&staged.bad));
    }
}

#[test]
fn columns_of_other_types_are_refused_by_name() {
    let number = |name| ("optional int64", name, "", Values::Int64(vec![Some(1), Some(2)]));
    let day = Values::Int32(vec![Some(1), Some(2)]);
    let bytes = Texts(vec![Some("a"), Some("b")]);
    let flags = Flags(vec![Some(true), Some(false)]);
    let columns = [
        (number("handle"), "is an integer, which has no plus sign"),
        (number("proved_at"), "is an integer of no known unit; it must be a timestamp or a string"),
        (("optional int32", "proved_at", "DATE", day.clone()), "is a date without a time"),
        (("optional int32", "proved_at", "TIME(MILLIS,true)", day), "is a time without a date"),
        (number("shoe"), "unknown column \"shoe\"; the columns are handle, account"),
        (("optional binary", "name", "", bytes), "is bytes"),
        (("optional boolean", "platform", "", flags), "is a boolean"),
    ];
    for (column, said) in columns {
        let (import, name) = (Import::new(), column.1);
        let error = import.stage(&file(&import, &[column])).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(&format!("{name:?}")), "{name}: {error}");
    }
}

#[test]
fn a_page_that_would_fill_the_memory_is_refused_before_it_is_read() {
    let import = Import::new();
    let long: &'static str = Box::leak("n".repeat(20 * 1024 * 1024).into_boxed_str());
    let long = ("optional binary", "name", "STRING", Texts(vec![Some(long), None]));
    let error = import.stage(&file(&import, &[long])).unwrap_err().to_string();
    assert!(error.contains("a column has values that are too long"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let import = Import::skipping_bad();
    let whole = fs::read(file(&import, &[])).unwrap();
    let path = import.dir.path().join("damaged.parquet");
    for at in 4..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x5a;
        fs::write(&path, damaged).unwrap();
        // What is damaged may also be a value, or something that no reader needs.
        let _ = import.stage(&path);
    }
}

#[test]
fn what_is_no_parquet_is_an_error() {
    let import = Import::new();
    let whole = fs::read(file(&import, &[])).unwrap();
    let path = import.dir.path().join("broken.parquet");
    for content in [b"PAR1", &whole[..whole.len() - 5]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(import.stage(&path), Err(StageError::Parquet(_))));
    }
    for content in [&b""[..], b"handle,account", &whole[8..]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(import.stage(&path), Err(StageError::Foreign(_))));
    }
}

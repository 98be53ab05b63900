//! Parquet files of other writers.

use std::{fs::File, sync::Arc};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, DictionaryArray, FixedSizeBinaryArray,
    Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    types::Int32Type,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    file::properties::WriterProperties,
};

use super::*;
use crate::tables::accounts::Note;

const MILLIS: i64 = 1_795_420_800_123;

/// A file with these columns of two rows, besides the required ones that are not among them.
fn file(import: &Import, columns: &[(&str, ArrayRef)]) -> PathBuf {
    compressed(import, columns, Compression::SNAPPY)
}

fn compressed(import: &Import, columns: &[(&str, ArrayRef)], codec: Compression) -> PathBuf {
    let text = |one, other| -> ArrayRef { Arc::new(StringArray::from(vec![one, other])) };
    let mut all: Vec<(&str, ArrayRef)> = vec![
        ("handle", text(Some("Ann@Example.com"), Some("bad"))),
        ("account", text(Some("ann"), Some("ben"))),
        ("device", text(Some("phone"), Some("tablet"))),
        ("platform", text(Some("ios"), Some("ios"))),
        ("last_check_in_at", text(Some("2026-11-20T08:00:00Z"), Some("2026-11-20T08:00:00Z"))),
    ];
    all.retain(|(name, _)| columns.iter().all(|(other, _)| !name.eq_ignore_ascii_case(other)));
    all.extend(columns.iter().cloned());
    let batch = RecordBatch::try_from_iter_with_nullable(
        all.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let path = import.dir.path().join("people.parquet");
    let properties = WriterProperties::builder().set_compression(codec).build();
    let output = File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(output, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn strings_and_instants_of_every_kind_are_read() {
    let handles = DictionaryArray::<Int32Type>::from_iter(["+14155550123", "ben@example.com"]);
    let millis = TimestampMillisecondArray::from(vec![MILLIS, MILLIS]).with_timezone("UTC");
    let micros = TimestampMicrosecondArray::from(vec![Some(MILLIS * 1_000 + 4), None]);
    let nanos = TimestampNanosecondArray::from(vec![None, Some(MILLIS * 1_000_000 + 5_999)]);
    let import = Import::new();
    let path = file(
        &import,
        &[
            ("handle", Arc::new(handles)),
            ("account", Arc::new(LargeStringArray::from(vec!["ann", "ben"]))),
            ("last_check_in_at", Arc::new(millis)),
            ("proved_at", Arc::new(micros.with_timezone("UTC"))),
            ("registered_at", Arc::new(nanos.with_timezone("+00:00"))),
            ("discoverable", Arc::new(BooleanArray::from(vec![Some(false), None]))),
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
    let before_the_epoch = TimestampMicrosecondArray::from(vec![1, -1]).with_timezone("UTC");
    let staged = import.stage(&file(&import, &[])).unwrap();
    assert_eq!(faults(&staged.bad), [(2, "the handle is invalid: not-a-number".into())]);
    let path = file(
        &import,
        &[
            ("handle", Arc::new(StringArray::from(vec![None::<&str>, None]))),
            ("last_check_in_at", Arc::new(before_the_epoch)),
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
    let uuids = vec![Some(&[0xAB_u8; 16][..]), Some(&[1; 16])];
    let uuids = FixedSizeBinaryArray::try_from_sparse_iter_with_size(uuids.into_iter(), 16);
    let import = Import::skipping_bad();
    let columns: [(&str, ArrayRef); 6] = [
        ("ACCOUNT", Arc::new(Int64Array::from(vec![17, -4]))),
        ("Device", Arc::new(uuids.unwrap())),
        ("Name", Arc::new(NullArray::new(2))),
        ("token_hash", Arc::new(Float64Array::from(vec![Some(f64::NAN), None]))),
        ("discoverable", Arc::new(Int8Array::from(vec![0, 1]))),
        ("__index_level_0__", Arc::new(Int64Array::from(vec![5, 6]))),
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
    let local = TimestampMicrosecondArray::from(vec![MILLIS * 1_000, MILLIS * 1_000]);
    let staged = import.stage(&file(&import, &[("last_check_in_at", Arc::new(local))])).unwrap();
    assert_eq!(staged.notes, [Note::LocalTime]);
    let at = Timestamp::from_micros(MILLIS as u64 * 1_000);
    assert_eq!(accounts(&staged.path)[0].devices[0].last_check_in_at, at);
    // Parquet stores an instant of any zone as UTC.
    let zone = TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("+01:00");
    let staged = import.stage(&file(&import, &[("proved_at", Arc::new(zone))])).unwrap();
    assert_eq!(staged.notes, []);
}

#[test]
fn a_floating_point_number_is_a_bad_row() {
    let number = || Arc::new(Float64Array::from(vec![None, Some(4_915_123_456_789.0)]));
    for name in ["handle", "account", "last_check_in_at", "discoverable", "name"] {
        let import = Import::skipping_bad();
        let handles = StringArray::from(vec!["ann@example.com", "ben@example.com"]);
        let columns: [(&str, ArrayRef); 2] = [("handle", Arc::new(handles)), (name, number())];
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
    let number = || Arc::new(Int64Array::from(vec![1, 2]));
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None]);
    let columns: [(&str, ArrayRef, &str); 7] = [
        ("handle", number(), "is an integer, which has no plus sign"),
        ("account", Arc::new(list), "is a list; it must be a string, an integer or a UUID"),
        ("proved_at", number(), "is an integer"),
        ("proved_at", Arc::new(Date32Array::from(vec![1, 2])), "is a date without a time"),
        ("name", Arc::new(BinaryArray::from_vec(vec![b"a", b"b"])), "is bytes"),
        ("platform", Arc::new(BooleanArray::from(vec![true, false])), "is a boolean"),
        ("shoe", number(), "unknown column \"shoe\"; the columns are handle, account"),
    ];
    for (name, column, said) in columns {
        let import = Import::new();
        let error = import.stage(&file(&import, &[(name, column)])).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(&format!("{name:?}")), "{name}: {error}");
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

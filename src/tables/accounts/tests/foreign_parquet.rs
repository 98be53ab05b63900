//! Parquet files of other writers.

use std::{fs::File, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int64Array, LargeStringArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    types::Int32Type,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    file::properties::WriterProperties,
};

use super::*;
use crate::tables::accounts::ColumnError;

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
    all.retain(|(name, _)| columns.iter().all(|(other, _)| name != other));
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
    let reason = "last_check_in_at is not an RFC 3339 instant".to_owned();
    assert_eq!(faults(&staged.bad), [(2, reason)]);
    assert!(accounts(&staged.path)[0].claims.is_empty(), "null is empty");
}

#[test]
fn columns_of_other_types_are_refused_by_name() {
    let local = TimestampMicrosecondArray::from(vec![1, 2]);
    let far = TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("+01:00");
    let number = || Arc::new(Int64Array::from(vec![1, 2]));
    let columns: [(&str, ArrayRef); 5] = [
        ("last_check_in_at", Arc::new(local)),
        ("handle", number()),
        ("proved_at", number()),
        ("discoverable", number()),
        ("shoe", number()),
    ];
    for (name, column) in columns {
        let import = Import::new();
        match import.stage(&file(&import, &[(name, column)])).unwrap_err() {
            StageError::Columns(ColumnError::Type(found, _)) => assert_eq!(found, name),
            StageError::Columns(ColumnError::Unknown(found)) => assert_eq!(found, "shoe"),
            other => panic!("{name}: {other:?}"),
        }
    }
    // A zone other than UTC is stored as UTC, and so are its instants.
    let import = Import::skipping_bad();
    assert!(import.stage(&file(&import, &[("proved_at", Arc::new(far))])).is_ok());
}

#[test]
fn what_is_no_parquet_is_an_error() {
    let import = Import::new();
    let whole = fs::read(file(&import, &[])).unwrap();
    let path = import.dir.path().join("broken.parquet");
    for content in [&b""[..], b"PAR1", &whole[..whole.len() - 5], &whole[8..]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(import.stage(&path), Err(StageError::Parquet(_))));
    }
}

//! Reads staged files: complete, truncated and damaged ones.

use std::{
    io::{self, Read},
    sync::LazyLock,
};

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::{export::export, *};
use crate::tables::accounts::{StagedError, verify};

/// A staged file of some accounts in several blocks.
static SOME: LazyLock<(Vec<u8>, Vec<TransferAccount>)> = LazyLock::new(|| {
    let import = Import::new();
    let rows: Vec<_> = (0..20)
        .map(|n| format!("u{n}@example.com,x{n},y{n},ios,2026-11-20T08:00:00Z,,,N"))
        .collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let staged = import.stage(&import.csv(&rows)).unwrap();
    (fs::read(&staged.path).unwrap(), accounts(&staged.path))
});

fn some() -> (Vec<u8>, Vec<TransferAccount>) {
    SOME.clone()
}

/// All accounts before the end or an error.
fn read(bytes: impl Read) -> (Vec<TransferAccount>, Result<(), StagedError>) {
    let mut accounts = Vec::new();
    let mut reader = match StagedReader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (accounts, Err(error)),
    };
    loop {
        match reader.next_batch(1) {
            Ok(batch) if batch.is_empty() => return (accounts, Ok(())),
            Ok(batch) => accounts.extend(batch),
            Err(error) => return (accounts, Err(error)),
        }
    }
}

#[test]
fn a_truncated_file_is_an_error_and_never_a_wrong_account() {
    let (bytes, whole) = some();
    for len in 0..bytes.len() {
        let (accounts, outcome) = read(&bytes[..len]);
        assert!(matches!(outcome, Err(StagedError::CutOff)), "{len}: {outcome:?}");
        assert!(whole.starts_with(&accounts), "{len}");
    }
    assert!(read(&bytes[..]).1.is_ok());
}

#[test]
fn a_flipped_bit_is_an_error_and_never_a_wrong_account() {
    let (mut bytes, whole) = some();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (accounts, outcome) = read(&bytes[..]);
        // A frame's head has one bit that means nothing.
        assert!(outcome.is_err() || accounts == whole, "{bit}");
        assert!(whole.starts_with(&accounts), "{bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, at in 0_usize..2_000, with_start: bool) {
        let mut content = if with_start { some().0 } else { Vec::new() };
        content.truncate(at);
        content.extend(bytes);
        prop_assert!(content == some().0 || read(&content[..]).1.is_err());
    }
}

#[test]
fn no_account_follows_an_error() {
    let (mut bytes, _) = some();
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    let mut reader = StagedReader::new(&bytes[..]).unwrap();
    while reader.next_batch(5).is_ok_and(|batch| !batch.is_empty()) {}
    assert!(reader.next_batch(5).is_ok_and(|batch| batch.is_empty()));
}

#[test]
fn a_stream_of_single_bytes_is_read() {
    struct Slow<'a>(&'a [u8]);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = buffer.len().min(1);
            self.0.read(&mut buffer[..len])
        }
    }
    let (bytes, whole) = some();
    let (accounts, outcome) = read(Slow(&bytes));
    assert!(outcome.is_ok() && accounts == whole);
    assert_eq!(verify(Slow(&bytes)).unwrap().1.accounts, 20);
}

#[test]
fn other_files_and_other_versions_are_refused() {
    let (mut bytes, _) = some();
    assert!(matches!(read(&[b'x'; 200][..]).1, Err(StagedError::NotStaged)));
    // Version 3, with a correct checksum.
    bytes[16] = 3;
    let crc = crc32fast::hash(&bytes[..73]);
    bytes[73..77].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(read(&bytes[..]).1, Err(StagedError::Version(3))));
}

#[test]
fn any_zstd_decoder_reads_the_rows() {
    let rows = zstd::decode_all(&some().0[..]).unwrap();
    assert_eq!(rows.windows(14).filter(|text| text.ends_with(b"@example.com")).count(), 20);
}

#[test]
fn a_file_with_the_name_of_another_import_is_refused() {
    let import = Import::new();
    let one = import.csv(&[",ann,phone,ios,2026-11-20T08:00:00Z,,,"]);
    let staged = import.stage(&one).unwrap();
    let other = import.csv(&[",ben,phone,ios,2026-11-20T08:00:00Z,,,"]);
    let digest = import.digest(&other);
    let path = import.directory().join(format!("{digest}.staged"));
    fs::rename(&staged.path, &path).unwrap();
    assert!(matches!(find(&import.directory(), digest), Err(StagedError::Invalid(_))));
    fs::write(&path, "").unwrap();
    assert!(matches!(find(&import.directory(), digest), Err(StagedError::CutOff)));
}

#[test]
fn the_format_is_frozen() {
    let import = Import::new();
    let accounts = [
        "+14155550123,a_0000000000002,d_0000000000004,ios,2026-11-20T08:00:00Z,2026-11-19T08:00:00Z,,Ann",
        "ann@example.com,a_0000000000002,d_0000000000006,watchos,2026-11-20T08:00:00Z,,false,",
        ",a_0000000000008,d_000000000000a,other,2026-11-20T08:00:00Z,,,",
    ];
    let staged = import.stage(&import.csv(&accounts)).unwrap();
    let bytes = fs::read(&staged.path).unwrap();
    assert_eq!(HEXLOWER.encode(&bytes[..77]), HEADER_BYTES);
    assert_eq!(HEXLOWER.encode(&zstd::decode_all(&bytes[..]).unwrap()), ROWS);
}

const HEADER_BYTES: &str = concat!(
    "502a4d1845000000444453544147454402996229f3e42d2117e35b0ee6e980fb7e7bcc4d8b1af3adb5f012c1599919f6",
    "0a020000000000000003000000000000000200000000000000b42b6437",
);
const ROWS: &str = concat!(
    "0100000000000000020000000000000002000001ab9bf2dd34018080ee8b8a9698030180c0909dc893980300010103416e6e00",
    "01000000000000000300000000000000030000020f616e6e406578616d706c652e636f6d048080ee8b8a969803000000000004",
    "00000000000000050000000000000004000000068080ee8b8a9698030000010000",
);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_staged_file_is_valid(accounts in super::export::any_accounts()) {
        let import = Import::new();
        let path = import.dir.path().join("out.csv");
        export(&path, &accounts);
        let staged = import.stage(&path).unwrap();
        let (digest, totals) = verify(fs::File::open(&staged.path).unwrap()).unwrap();
        prop_assert_eq!(digest, staged.digest);
        prop_assert_eq!(totals, staged.totals);
    }
}

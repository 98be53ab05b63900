//! Files of rows, read back.

mod fields;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
    path::Path,
};

use age::{Decryptor, x25519::Identity};
use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};

use super::{ExportFile, Format, RecipientError, Recipients};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId, RequestId},
    query_log::{LogRow, LookupRecord, Record, RefusalCount},
    tables::Target,
    vocabulary::{Cause, Change, ChangeKind, ProblemCode, Reason, Route},
};

const START: u64 = 1_795_420_800_000_000;

fn lookup(n: u64, handle: Option<&str>) -> LogRow {
    let refused = handle.is_none();
    let lookup = LookupRecord {
        request: RequestId::from_bits(n),
        account: (!refused).then(|| AccountId::from_bits(n)),
        device: (!refused).then(|| DeviceId::from_bits(n)),
        ip: Some("2001:db8::1".parse().unwrap()),
        handle: handle.map(|text| Handle::parse(text, None).unwrap()),
        route: (!refused).then_some(Route::Sms),
        reason: if refused {
            Reason::Refused(ProblemCode::HandleInvalid)
        } else {
            Reason::NeverRegistered
        },
        status: if refused { 400 } else { 200 },
        took_us: u32::MAX,
    };
    LogRow { at: Timestamp::from_micros(START + n), record: Record::Lookup(lookup) }
}

fn change(n: u64, handle: Option<&str>) -> LogRow {
    let change = Change {
        id: ChangeId::from_bits(n),
        kind: ChangeKind::HandleMoved,
        handle: handle.map(|text| Handle::parse(text, None).unwrap()),
        device: None,
        account: Some(AccountId::from_bits(n)),
        cause: Cause::NewerProof,
    };
    LogRow { at: Timestamp::from_micros(START + n), record: Record::Change(change) }
}

fn refusals(n: u64) -> LogRow {
    let refusals = RefusalCount::new(ProblemCode::TokenInvalid, u64::from(u32::MAX) + n);
    LogRow { at: Timestamp::from_micros(START + n), record: Record::Refusals(refusals) }
}

/// Handles that begin with everything that one can begin with.
const HANDLES: &[&str] = &[
    "+14155550123",
    "ann@example.com",
    "=1+1@example.com",
    "=cmd|'/c'!a1@example.com",
    "-2@example.com",
    "+3@example.com",
    "'quoted@example.com",
    "''twice@example.com",
    "＝4@example.com",
    "７@example.com",
    "{}@example.com",
];

fn rows(count: u64) -> Vec<LogRow> {
    let handles = HANDLES.iter().cycle();
    let row = |(n, handle): (u64, &&str)| match n % 4 {
        0 => change(n, Some(handle)),
        1 if n % 12 == 1 => refusals(n),
        1 => lookup(n, None),
        _ => lookup(n, Some(handle)),
    };
    (0..count).zip(handles).map(row).collect()
}

fn write(path: &Path, rows: &[LogRow], recipients: Option<&Recipients>) {
    let (target, format) = (Target::File(path.to_owned()), Format::of(path).unwrap());
    let mut file = ExportFile::create(&target, format, recipients).unwrap();
    rows.iter().for_each(|row| file.write(row, None).unwrap());
    assert_eq!(file.records(), rows.len() as u64);
    assert!(!path.exists());
    file.finish(false).unwrap();
}

fn handle_of(row: &LogRow) -> Option<String> {
    let handle = match &row.record {
        Record::Lookup(lookup) => lookup.handle.as_ref(),
        Record::Change(change) => change.handle.as_ref(),
        Record::Refusals(_) => None,
    };
    handle.map(|handle| handle.canonical().into_owned())
}

#[test]
fn parquet_keeps_every_row_over_many_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    let rows = rows(300);
    write(&path, &rows, None);
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.num_row_groups(), 300_usize.div_ceil(64));
    let mut read = 0;
    for (row, found) in rows.iter().zip(reader.get_row_iter(None).unwrap()) {
        let found = found.unwrap();
        let field = |wanted| {
            let (_, field) = found.get_column_iter().find(|(name, _)| *name == wanted).unwrap();
            field.clone()
        };
        let text = |text: Option<String>| text.map_or(Field::Null, Field::Str);
        assert_eq!(field("at"), Field::TimestampMicros(row.at.as_micros() as i64));
        assert_eq!(field("handle"), text(handle_of(row)));
        let request = match &row.record {
            Record::Lookup(lookup) => Some(lookup.request.to_string()),
            Record::Change(_) | Record::Refusals(_) => None,
        };
        assert_eq!(field("request"), text(request));
        read += 1;
    }
    assert_eq!(read, rows.len());
    assert_eq!(reader.metadata().file_metadata().num_rows(), 300);
}

#[test]
fn csv_is_safe_in_a_spreadsheet_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.csv");
    let rows = rows(44);
    write(&path, &rows, None);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\r\n").count(), rows.len() + 1);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let (mut seen, mut guarded) = (0, BTreeSet::new());
    for (record, row) in reader.records().zip(&rows) {
        let record = record.unwrap();
        for cell in &record {
            // OWASP's list; a tab or a carriage return no handle has.
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']),
                "{cell}"
            );
        }
        let handle = record.get(6).unwrap();
        let plain = handle.strip_prefix('\'').unwrap_or(handle);
        assert_eq!(plain, handle_of(row).unwrap_or_default());
        if handle != plain {
            guarded.insert(plain.to_owned());
        }
        seen += 1;
    }
    assert_eq!(seen, rows.len());
    assert!(!guarded.contains("ann@example.com") && guarded.contains("'quoted@example.com"));
}

#[test]
fn ndjson_is_what_the_api_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.ndjson");
    let rows = rows(1_000);
    write(&path, &rows, None);
    let expected: String = rows.iter().map(|row| row.to_json() + "\n").collect();
    assert!(expected.len() > 64 * 1024);
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn an_encrypted_file_decrypts_for_each_recipient_to_the_plain_one() {
    let folder = tempfile::tempdir().unwrap();
    let (ann, ben, eve) = (Identity::generate(), Identity::generate(), Identity::generate());
    let keys = [ann.to_public().to_string(), ben.to_public().to_string()];
    let recipients = Recipients::parse(keys.iter().map(String::as_str)).unwrap();
    let rows = rows(500);
    for name in ["log.parquet", "log.csv", "log.ndjson"] {
        let (plain, sealed) = (folder.path().join(name), folder.path().join(format!("{name}.age")));
        write(&plain, &rows, None);
        write(&sealed, &rows, recipients.as_ref());
        let bytes = fs::read(&sealed).unwrap();
        assert!(bytes.starts_with(b"age-encryption.org/v1\n"));
        for row in &rows {
            let handle = handle_of(row).unwrap_or("example".into());
            let is_there = bytes.windows(handle.len()).any(|window| window == handle.as_bytes());
            assert!(!is_there, "{name} holds {handle}");
        }
        let decrypt = |identity: &Identity, bytes: &[u8]| -> Option<Vec<u8>> {
            let identities = std::iter::once(identity as &dyn age::Identity);
            let mut reader = Decryptor::new(bytes).ok()?.decrypt(identities).ok()?;
            let mut text = Vec::new();
            reader.read_to_end(&mut text).ok().map(|_| text)
        };
        for identity in [&ann, &ben] {
            assert_eq!(decrypt(identity, &bytes), fs::read(&plain).ok(), "{name}");
            // A file that was cut is no file.
            assert_eq!(decrypt(identity, &bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(decrypt(&eve, &bytes), None);
    }
}

#[test]
fn a_wrong_recipient_is_named_by_its_place_and_a_secret_is_not_quoted() {
    use age::secrecy::ExposeSecret as _;

    let ann = Identity::generate();
    let (public, secret) = (ann.to_public().to_string(), ann.to_string());
    let secret = secret.expose_secret();
    let parse = |keys: &[&str]| Recipients::parse(keys.iter().copied()).map(|it| it.is_some());
    assert_eq!(parse(&[]), Ok(false));
    assert_eq!(parse(&[&public]), Ok(true));
    assert_eq!(parse(&[&public, secret]), Err((1, RecipientError::Secret)));
    assert_eq!(parse(&[&secret.to_lowercase()]), Err((0, RecipientError::Secret)));
    for wrong in ["", "age1", &public[..public.len() - 1], "ssh-ed25519 AAAA", "age1pq1x"] {
        assert!(matches!(parse(&[wrong]), Err((0, RecipientError::Unreadable(_)))), "{wrong}");
    }
}

#[test]
fn in_a_cluster_the_node_is_the_last_column() {
    let folder = tempfile::tempdir().unwrap();
    for (format, head, row) in
        [(Format::Csv, "count,node\r\n", ",b\r\n"), (Format::Ndjson, "", "\"node\":\"b\"}\n")]
    {
        let path = folder.path().join("log");
        let mut file = ExportFile::create(&Target::File(path.clone()), format, None).unwrap();
        file.write(&lookup(1, None), Some("b")).unwrap();
        file.finish(false).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(head) && text.ends_with(row), "{text}");
    }
    let path = folder.path().join("log.parquet");
    let mut file = ExportFile::create(&Target::File(path.clone()), Format::Parquet, None).unwrap();
    rows(9).iter().for_each(|row| file.write(row, Some("b")).unwrap());
    file.finish(false).unwrap();
    let read = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let rows = read.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string());
    assert!(rows.into_iter().all(|row| row.ends_with("node: \"b\"}")));
}

#[test]
fn an_export_of_a_cluster_without_rows_has_the_column_of_the_node_too() {
    let folder = tempfile::tempdir().unwrap();
    for is_gathered in [false, true] {
        let export = |name, format| {
            let path = folder.path().join(name);
            let file = ExportFile::create(&Target::File(path.clone()), format, None).unwrap();
            file.finish(is_gathered).unwrap();
            path
        };
        let text = fs::read_to_string(export("log.csv", Format::Csv)).unwrap();
        assert_eq!(text.ends_with(",count,node\r\n"), is_gathered, "{text}");
        let path = export("log.parquet", Format::Parquet);
        let read = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let columns = read.metadata().file_metadata().schema_descr();
        let last = columns.column(columns.num_columns() - 1);
        assert_eq!(last.name() == "node", is_gathered);
    }
}

#[test]
fn an_export_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Parquet, Format::Csv, Format::Ndjson] {
        let target = Target::File(folder.path().join("log"));
        let mut file = ExportFile::create(&target, format, None).unwrap();
        rows(200).iter().for_each(|row| file.write(row, None).unwrap());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

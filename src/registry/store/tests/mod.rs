//! The format of rows, and the embedded store's ways to say no.

pub(in crate::registry) mod memory;
mod power;

use std::{
    fs::{self, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use ::redb::{StorageBackend, backends::FileBackend};
use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::{rows, *};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{AccountId, ChangeId, DeviceId},
    registry::{
        account::{Account, Claim, Device, LostDetails},
        expiring::{ExpiringRow, RowKey, RowKind},
        handle_state::Tombstone,
        tests::accounts::{account, handles},
        token::TokenHash,
    },
    vocabulary::{Cause, Change, ChangeKind, HandleLoss, Platform},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn ended_rows() -> impl Strategy<Value = Mutation> {
    let hows = [HandleLoss::Unbound, HandleLoss::Deregistered, HandleLoss::DeviceRemoved];
    (handles(), prop::sample::select(hows.to_vec()), any::<u64>().prop_map(Timestamp::from_micros))
        .prop_map(|(handle, how, at)| Mutation::PutTombstone(handle, Tombstone { how, at }))
}

fn change_rows() -> impl Strategy<Value = Mutation> {
    let what =
        (prop::sample::select(ChangeKind::ALL.to_vec()), prop::sample::select(Cause::ALL.to_vec()));
    let whom = (prop::option::of(handles()), any::<Option<u64>>(), any::<Option<u64>>());
    (any::<u64>(), any::<(u64, u64)>(), what, whom).prop_map(
        |(place, (id, at), (kind, cause), (handle, device, account))| {
            let change = Change {
                id: ChangeId::from_bits(id),
                kind,
                handle,
                device: device.map(DeviceId::from_bits),
                account: account.map(AccountId::from_bits),
                cause,
            };
            let decided_at = Timestamp::from_micros(at);
            Mutation::PutUnrecorded(Unrecorded { place, decided_at, change })
        },
    )
}

fn any_row() -> impl Strategy<Value = Mutation> {
    let account = account().prop_map(|account| Mutation::PutAccount { account, known_by: None });
    prop_oneof![account, ended_rows(), change_rows(), expiring_rows()]
}

fn expiring_rows() -> impl Strategy<Value = Mutation> {
    let bytes = prop::collection::vec(any::<u8>(), 0..80);
    // A flag has a form of its own.
    let kind = prop::sample::select(RowKind::ALL[..5].to_vec());
    (kind, bytes.clone(), any::<Option<u64>>(), bytes).prop_map(|(kind, key, ends_at, value)| {
        let ends_at = ends_at.map(Timestamp::from_micros);
        Mutation::PutRow(
            RowKey { kind, key: key.into() },
            ExpiringRow { ends_at, value: value.into() },
        )
    })
}

/// A row's key and value as bytes.
fn write(row: &Mutation) -> (Vec<u8>, Vec<u8>) {
    match row {
        Mutation::PutAccount { account, .. } => {
            (account.id.bits().to_be_bytes().into(), rows::write_account(account))
        }
        Mutation::PutTombstone(handle, ended) => {
            (rows::handle_key(handle), rows::write_ended(*ended))
        }
        Mutation::PutUnrecorded(row) => {
            (row.place.to_be_bytes().into(), rows::write_unrecorded(row))
        }
        Mutation::PutRow(key, row) => (rows::expiring_key(key), rows::write_expiring(row)),
        _ => unreachable!("not a row"),
    }
}

fn read(like: &Mutation, key: &[u8], value: &[u8]) -> Result<Mutation, StoreError> {
    let number = || u64::from_be_bytes(key.try_into().expect("eight bytes"));
    Ok(match like {
        Mutation::PutAccount { .. } => {
            let account = rows::read_account(number(), value)?;
            Mutation::PutAccount { account, known_by: None }
        }
        Mutation::PutTombstone(..) => put(rows::read_ended(key, value)?),
        Mutation::PutRow(..) => put(rows::read_expiring(key, value)?),
        _ => put(Row::Unrecorded(rows::read_unrecorded(number(), value)?)),
    })
}

fn put(row: Row) -> Mutation {
    match row {
        Row::Tombstone(handle, ended) => Mutation::PutTombstone(handle, ended),
        Row::Unrecorded(row) => Mutation::PutUnrecorded(row),
        Row::Expiring(key, row) => Mutation::PutRow(key, row),
    }
}

proptest! {
    #[test]
    fn rows_survive_their_bytes(row in any_row()) {
        let (key, value) = write(&row);
        prop_assert_eq!(read(&row, &key, &value).expect("what was written is read"), row);
    }

    #[test]
    fn a_row_cut_short_or_too_long_is_refused(row in any_row(), cut: prop::sample::Index) {
        let (key, value) = write(&row);
        prop_assert!(read(&row, &key, &value[..cut.index(value.len())]).is_err());
        prop_assert!(read(&row, &key, &[&value[..], &[0]].concat()).is_err());
        let newer = [&[3][..], &value[1..]].concat();
        prop_assert!(matches!(read(&row, &key, &newer), Err(StoreError::FormatUnknown(3))));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(row in any_row(), bytes: Vec<u8>, key: Vec<u8>) {
        let _ = rows::read_ended(&key, &bytes);
        let (good_key, _) = write(&row);
        let _ = read(&row, &good_key, &[&[2][..], &bytes].concat());
    }
}

/// One row of each table, with everything in it.
fn fixture() -> [(Mutation, &'static str, &'static str); 3] {
    let phone = Handle::from_canonical("+14155550123").expect("canonical");
    let mail = Handle::from_canonical("a@example.org").expect("canonical");
    let [first, second] = [0x0102_0304_0506_0708, 9].map(DeviceId::from_bits);
    let at = Timestamp::from_micros(1_795_423_267_123_456);
    let device = |id, name: Option<&str>, lapse_recorded| Device {
        id,
        token_hash: TokenHash([0xab; 16]),
        registered_at: at,
        last_check_in_at: Timestamp::from_secs(1),
        name: name.map(Into::into),
        platform: Platform::Watchos,
        lapse_recorded,
    };
    let claim = |handle: &Handle, discoverable, devices| Claim {
        handle: handle.clone(),
        proved_at: at,
        discoverable,
        devices,
    };
    let account = Account {
        id: AccountId::from_bits(0xfedc_ba98_7654_3210),
        devices: vec![device(first, Some("Zoë"), true), device(second, None, false)],
        claims: vec![claim(&phone, false, vec![second]), claim(&mail, true, vec![first, second])],
        lost: vec![LostDetails { handle: phone.clone(), how: HandleLoss::Moved, at }],
    };
    let change = Change {
        id: ChangeId::from_bits(77),
        kind: ChangeKind::HandleMoved,
        handle: Some(phone.clone()),
        device: Some(first),
        account: None,
        cause: Cause::NewerProof,
    };
    [
        (
            Mutation::PutAccount { account, known_by: None },
            "fedcba9876543210",
            "026b001032547698badcfe028200f10e8eed60060807060504030201abababababababababababababababab40420f000000000c0900000000000000abababababababababababababababab40420f000000000404ab8dbc4b03000002030d61406578616d706c652e6f72670280e2bbf0d89d980301045a6fc3ab80e2bbf0d89d9803000280e2bbf0d89d980380e2bbf0d89d9803010901000000034bbc8dab0180e2bbf0d89d980347734e58",
        ),
        (
            Mutation::PutTombstone(mail, Tombstone { how: HandleLoss::Deregistered, at }),
            "0261406578616d706c652e6f7267",
            "020280e2bbf0d89d9803",
        ),
        (
            Mutation::PutUnrecorded(Unrecorded { place: 3, decided_at: at, change }),
            "0000000000000003",
            "024d80e2bbf0d89d98030508010901000000034bbc8dab01888e98a8c0e080810100",
        ),
    ]
}

/// An expiring row: format 3 has them, format 2 had not.
fn expiring_fixture() -> (Mutation, &'static str, &'static str) {
    let key = RowKey { kind: RowKind::LinkCode, key: b"ab"[..].into() };
    let ends_at = Some(Timestamp::from_micros(1_795_423_267_123_456));
    let row = ExpiringRow { ends_at, value: Box::from([7, 8, 9]) };
    (Mutation::PutRow(key, row), "036162", "020180e2bbf0d89d980303070809")
}

#[test]
fn a_flag_that_cannot_be_read_is_no_missing_flag() {
    let flag = |key: &[u8], value: &[u8]| {
        let row = ExpiringRow { ends_at: None, value: value.into() };
        rows::read_expiring(&[&[6][..], key].concat(), &rows::write_expiring(&row))
    };
    flag(&[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0, 9]).expect("it is whole");
    let bad: [(&[u8], &[u8]); 3] = [(&[0; 7], &[1; 9]), (&[0; 8], &[1; 8]), (&[0; 8], &[9; 9])];
    for (key, value) in bad {
        assert!(matches!(flag(key, value), Err(StoreError::RowUnreadable(_))));
    }
}

#[test]
fn version_2_is_frozen() {
    for (row, key, value) in fixture().into_iter().chain([expiring_fixture()]) {
        let (written_key, written) = write(&row);
        assert_eq!((&*HEXLOWER.encode(&written_key), &*HEXLOWER.encode(&written)), (key, value));
        let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).expect("it is hex");
        assert_eq!(
            read(&row, &bytes(key), &bytes(value)).expect("version 2 is read for ever"),
            row
        );
    }
}

fn all(store: &mut RedbStore) -> Vec<Mutation> {
    try_all(store).expect("the rows are good")
}

fn try_all(store: &mut RedbStore) -> Result<Vec<Mutation>, StoreError> {
    let (reader, mut ids) = (store.reader(), Vec::new());
    for part in 0..3 {
        reader.packed(part, 3, &mut |packed| ids.push(packed.account()))?;
    }
    let mut rows = Vec::new();
    for id in ids {
        let account = reader.account(id)?.expect("it was just seen");
        rows.push(Mutation::PutAccount { account, known_by: None });
    }
    store.load(&mut |row| rows.push(put(row)))?;
    Ok(rows)
}

#[test]
fn the_store_keeps_what_was_committed_and_only_its_owner_reads_it() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("registry");
    let mut store = RedbStore::open(&dir, NOW).expect("a new store");
    let key = store.identity().subject_key;
    let puts = fixture().map(|(row, ..)| row);
    store.commit(5, &puts).expect("there is space");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("registry.redb"))), (0o700, 0o600));
    drop(store);

    let mut store =
        RedbStore::open(&dir, NOW.plus(std::time::Duration::from_secs(1))).expect("it is there");
    let identity = store.identity();
    assert_eq!((store.last_batch(), identity.subject_key, identity.founded_at), (5, key, NOW));
    assert_eq!(all(&mut store), fixture().map(|(row, ..)| row));
    let (id, known_by) =
        (AccountId::from_bits(0xfedc_ba98_7654_3210), DeviceId::from_bits(0x0102_0304_0506_0708));
    let removals = [Mutation::RemoveAccount { id, known_by }, Mutation::RemoveUnrecorded(3)];
    store.commit(6, &removals).expect("there is space");
    assert_eq!(store.reopen().expect("it can be opened anew"), 6);
    assert_eq!(all(&mut store).len(), 1);
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let _first = RedbStore::open(dir.path(), NOW).expect("a new store");
    assert!(matches!(RedbStore::open(dir.path(), NOW).err(), Some(StoreError::Locked(_))));
}

#[test]
fn a_file_that_was_removed_takes_nothing_and_is_not_made_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = RedbStore::open(dir.path(), NOW).expect("a new store");
    let puts = fixture().map(|(row, ..)| row);
    store.commit(1, &puts).expect("there is space");
    fs::remove_file(dir.path().join("registry.redb")).expect("it was there");
    assert!(store.commit(2, &puts).is_err());
    assert!(store.reopen().is_err());
    assert!(!dir.path().join("registry.redb").exists());
}

#[test]
fn another_program_s_file_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("registry.redb");
    fs::write(&path, "a letter to somebody").expect("there is space");
    assert!(matches!(RedbStore::open(dir.path(), NOW).err(), Some(StoreError::NotOurs(_))));
    assert_eq!(fs::read(&path).expect("it is there"), b"a letter to somebody");

    fs::remove_file(&path).expect("it was there");
    let foreign = ::redb::Database::create(&path).expect("a new file");
    let writing = foreign.begin_write().expect("it is open");
    writing.open_table(::redb::TableDefinition::<u64, u64>::new("theirs")).expect("a new table");
    writing.commit().expect("there is space");
    drop(foreign);
    assert!(matches!(RedbStore::open(dir.path(), NOW).err(), Some(StoreError::NotOurs(_))));
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let whole = tempfile::tempdir().expect("a directory");
    let mut store = RedbStore::open(whole.path(), NOW).expect("a new store");
    let puts = fixture().map(|(row, ..)| row);
    store.commit(1, &puts).expect("there is space");
    drop(store);
    let bytes = fs::read(whole.path().join("registry.redb")).expect("it is there");
    for part in [10, 100, 4096, bytes.len() / 2] {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("registry.redb"), &bytes[..part]).expect("there is space");
        assert!(RedbStore::open(dir.path(), NOW).is_err(), "cut at {part}");
    }
    let header = [9, 20, 64, 130, 200, 330];
    let pages = (0..bytes.len() as u64).step_by(1024).skip(1);
    for at in header.into_iter().chain(pages.take(200)) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("registry.redb");
        fs::write(&path, &bytes).expect("there is space");
        let mut file = OpenOptions::new().write(true).open(&path).expect("it is there");
        file.seek(SeekFrom::Start(at)).expect("it is long enough");
        file.write_all(&[0x5a; 16]).expect("there is space");
        // Whether redb can repair it or not: what it then gives is right, or an error.
        let read = RedbStore::open(dir.path(), NOW).and_then(|mut store| try_all(&mut store));
        if let Ok(rows) = read {
            assert!(rows.is_empty() || rows == puts);
        }
    }
}

/// A store as version 2 made it: without expiring rows.
fn format_2(path: &Path) {
    use ::redb::TableDefinition;
    let database = ::redb::Database::create(path).expect("a new file");
    let writing = database.begin_write().expect("it is open");
    let meta = TableDefinition::<&str, &[u8]>::new("meta");
    let mut meta = writing.open_table(meta).expect("a new table");
    let founded_at = NOW.as_micros().to_be_bytes();
    let batch = 5_u64.to_be_bytes();
    for (name, value) in [
        ("format", &[2][..]),
        ("subject_key", &[9; 32]),
        ("founded_at", &founded_at),
        ("batch", &batch),
    ] {
        meta.insert(name, value).expect("there is space");
    }
    drop(meta);
    let [account, ended, unrecorded] = fixture()
        .map(|(_, key, value)| [key, value].map(|hex| HEXLOWER.decode(hex.as_bytes()).unwrap()));
    let number = |key: &[u8]| u64::from_be_bytes(key.try_into().expect("eight bytes"));
    for (name, [key, value]) in [("accounts", account), ("unrecorded", unrecorded)] {
        let table = TableDefinition::<u64, &[u8]>::new(name);
        let mut table = writing.open_table(table).expect("a new table");
        table.insert(number(&key), &value[..]).expect("there is space");
    }
    let table = TableDefinition::<&[u8], &[u8]>::new("ended");
    let mut table = writing.open_table(table).expect("a new table");
    table.insert(&ended[0][..], &ended[1][..]).expect("there is space");
    drop(table);
    writing.commit().expect("there is space");
}

#[test]
fn a_store_of_the_former_format_is_opened_with_all_that_it_holds() {
    let dir = tempfile::tempdir().expect("a directory");
    format_2(&dir.path().join("registry.redb"));
    for _ in 0..2 {
        let mut store = RedbStore::open(dir.path(), NOW).expect("it is brought to this format");
        assert_eq!((store.last_batch(), store.identity().founded_at), (5, NOW));
        assert_eq!(*store.identity().subject_key, [9; 32]);
        assert_eq!(all(&mut store), fixture().map(|(row, ..)| row));
    }
    let mut store = RedbStore::open(dir.path(), NOW).expect("it has this format");
    let row = expiring_fixture().0;
    store.commit(6, std::slice::from_ref(&row)).expect("there is space");
    assert_eq!(all(&mut store).last(), Some(&row));
}

/// A file on a disk that fills up.
#[derive(Debug)]
struct FullDisk(FileBackend);

/// Whether the disk is full. Of one thread, so that tests do not meet.
type IsFull = std::cell::Cell<bool>;
thread_local! {
    static IS_FULL: IsFull = const { IsFull::new(false) };
}

fn check_space() -> Result<(), io::Error> {
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    if IS_FULL.get() { Err(full()) } else { Ok(()) }
}

impl StorageBackend for FullDisk {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        check_space()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        check_space()?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        check_space()?;
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.0.close()
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_store_works_again_when_there_is_space() {
    let dir = tempfile::tempdir().expect("a directory");
    let open =
        |path: &Path| redb::open_database(|file| Ok(FullDisk(FileBackend::new(file)?)), path);
    let mut store = RedbStore::open_by(dir.path(), NOW, open).expect("a new store");
    let [(account, ..), (ended, ..), ..] = fixture();
    store.commit(1, std::slice::from_ref(&account)).expect("there is space");
    IS_FULL.set(true);
    let failed = store.commit(2, std::slice::from_ref(&ended));
    assert!(matches!(failed, Err(StoreError::Io(_))), "{failed:?}");
    let refused = store.commit(2, std::slice::from_ref(&ended));
    assert!(matches!(refused, Err(StoreError::NotOpen)), "{refused:?}");
    let _ = store.reopen();
    IS_FULL.set(false);
    assert_eq!(store.reopen().expect("there is space"), 1);
    assert_eq!(all(&mut store), std::slice::from_ref(&account));
    store.commit(2, std::slice::from_ref(&ended)).expect("there is space");
    drop(store);
    let mut store = RedbStore::open(dir.path(), NOW).expect("it is whole");
    assert_eq!(all(&mut store), [account, ended]);
}

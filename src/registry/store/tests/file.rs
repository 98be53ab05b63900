//! The file of the store: its owner, damage, and the format before.

use super::*;

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

/// The place is a row of the same transaction as the change, and a version that knows no shared log refuses the store.
#[test]
fn a_store_remembers_the_entry_that_it_holds_and_forgets_it_when_it_leaves_the_log() {
    use ::redb::ReadableDatabase as _;

    let dir = tempfile::tempdir().expect("a directory");
    let mut store = RedbStore::open(dir.path(), NOW).expect("a new store");
    assert_eq!(store.applied(), Applied::NONE);
    let row = fixture().map(|(row, ..)| row)[1].clone();
    let head = Head { place: 7, hash: [0xcd; 32] };
    let applied = Applied { head, decided_at: NOW };
    store.commit(1, &[row.clone(), Mutation::Applied(applied)]).expect("there is space");
    assert_eq!(store.applied(), applied);
    // What one machine only notes for itself leaves it as it is.
    store.commit(2, &[Mutation::RemoveUnrecorded(1)]).expect("there is space");
    assert_eq!(store.applied(), applied);
    assert_eq!(store.reopen().expect("it is whole"), 2);
    assert_eq!(store.applied(), applied);
    let copy = tempfile::tempdir().expect("a directory");
    let file = copy.path().join("registry.redb");
    store.reader().copy(&file, CopyFor::Joiner).expect("there is space");
    drop(store);
    let format = |dir: &Path| {
        let database = ::redb::Database::open(dir.join("registry.redb")).expect("it is there");
        let meta = ::redb::TableDefinition::<&str, &[u8]>::new("meta");
        let reading = database.begin_read().expect("it is open");
        let meta = reading.open_table(meta).expect("it has the table");
        let format = meta.get("format").expect("it is read").expect("it is there");
        (format.value().to_vec(), meta.get("applied").expect("it is read").is_some())
    };
    assert_eq!(format(dir.path()), (vec![3 | 0x80], true));
    for dir in [dir.path(), copy.path()] {
        let mut store = RedbStore::open(dir, NOW).expect("it is whole");
        assert_eq!(store.applied(), applied);
        store.commit(3, &[Mutation::Applied(Applied::NONE)]).expect("there is space");
        assert_eq!(store.applied(), Applied::NONE);
        assert_eq!(all(&mut store), std::slice::from_ref(&row));
        drop(store);
        assert_eq!(format(dir), (vec![3], false));
        assert_eq!(RedbStore::open(dir, NOW).expect("it is whole").applied(), Applied::NONE);
    }
}

#[test]
fn a_joiner_s_copy_has_everything_and_a_backup_has_neither_operators_nor_a_place_in_a_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut store = RedbStore::open(dir.path(), NOW).expect("a new store");
    let row = fixture().map(|(row, ..)| row)[1].clone();
    let operator = |kind| {
        let key = RowKey { kind, key: b"ann".as_slice().into() };
        Mutation::PutRow(key, ExpiringRow { ends_at: None, value: vec![1].into() })
    };
    let (operator, session) = (operator(RowKind::Operator), operator(RowKind::Session));
    let head = Head { place: 7, hash: [0xcd; 32] };
    let applied = Applied { head, decided_at: NOW };
    let steps = [row, operator.clone(), session, Mutation::Applied(applied)];
    store.commit(1, &steps).expect("there is space");
    let copied = |copy_for| {
        let copy = tempfile::tempdir().expect("a directory");
        let file = copy.path().join("registry.redb");
        store.reader().copy(&file, copy_for).expect("there is space");
        let mut copied = RedbStore::open(copy.path(), NOW).expect("it is whole");
        (all(&mut copied), copied.applied(), copied.identity().subject_key)
    };
    let (joiner, backup) = (copied(CopyFor::Joiner), copied(CopyFor::Backup));
    let key = store.identity().subject_key;
    let everything = all(&mut store);
    assert!(everything.contains(&operator) && everything.len() == 3);
    let less: Vec<_> = everything.iter().filter(|row| **row != operator).cloned().collect();
    assert_eq!(joiner, (everything, applied, key.clone()));
    assert_eq!(backup, (less, Applied::NONE, key));
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

//! A store on a disk that fills up.

use super::*;

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

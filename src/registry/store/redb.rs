//! The embedded store: one redb file, `<data>/registry/registry.redb`.
//!
//! Every batch is one transaction with immediate durability: when `commit` returns, it is on the disk, and a crash at
//! any earlier point leaves the store as before the batch.
//!
//! Opening checks every page's checksum: without that a bad sector would become a wrong answer, or a panic. The same
//! pass repairs what a crash left, so redb's quick repair, which makes each commit dearer, would save nothing.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend,
    StorageError, TableDefinition, WriteTransaction, backends::FileBackend,
};
use zeroize::Zeroizing;

use crate::{ids, limits};

use super::{Key, Mutation, Row, Store, StoreError, rows};

const DEVICES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(rows::DEVICES);
const CLAIMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(rows::CLAIMS);
const ENDED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(rows::ENDED);
const UNRECORDED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(rows::UNRECORDED);
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const META_FORMAT: &str = "format";
const META_SUBJECT_KEY: &str = "subject_key";
const META_BATCH: &str = "batch";
const FORMAT: u8 = 1;

const FILE: &str = "registry.redb";
/// The first bytes of every redb file.
const REDB_MAGIC: &[u8; 4] = b"redb";

/// Opens the file; tests put a failing disk in between.
type Opener = fn(&Path) -> Result<Database, StoreError>;

/// A store in one file.
pub(in crate::registry) struct RedbStore {
    path: PathBuf,
    opener: Opener,
    /// None after a failed commit: redb refuses everything once its file has failed, so it is opened anew.
    database: Option<Database>,
    subject_key: Zeroizing<[u8; 32]>,
    last_batch: u64,
}

impl RedbStore {
    /// Opens the store in `dir`, which is made if missing.
    pub(in crate::registry) fn open(dir: &Path) -> Result<Self, StoreError> {
        Self::open_by(dir, |path| open_database(FileBackend::new, path))
    }

    pub(super) fn open_by(dir: &Path, opener: Opener) -> Result<Self, StoreError> {
        if !dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let path = dir.join(FILE);
        let database = opener(&path)?;
        // The file's name must survive a power cut as its content does.
        File::open(dir)?.sync_all()?;
        if let Some(parent) = dir.parent().filter(|parent| parent.is_dir()) {
            File::open(parent)?.sync_all()?;
        }
        found_if_empty(&database, &path)?;
        let (subject_key, last_batch) = read_meta(&database, &path)?;
        Ok(Self { path, database: Some(database), subject_key, last_batch, opener })
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or(StoreError::NotOpen)
    }
}

impl Store for RedbStore {
    fn subject_key(&self) -> Zeroizing<[u8; 32]> {
        self.subject_key.clone()
    }

    fn last_batch(&self) -> u64 {
        self.last_batch
    }

    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError> {
        let reading = self.database()?.begin_read().map_err(failed)?;
        for row in reading.open_table(DEVICES).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            visit(rows::read_device(key.value(), value.value())?);
        }
        for row in reading.open_table(CLAIMS).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            visit(rows::read_claim(key.value(), value.value())?);
        }
        for row in reading.open_table(ENDED).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            visit(rows::read_ended(key.value(), value.value())?);
        }
        for row in reading.open_table(UNRECORDED).map_err(failed)?.iter().map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            visit(rows::read_change(key.value(), value.value())?);
        }
        Ok(())
    }

    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError> {
        let committed = write(self.database()?, batch, mutations);
        if committed.is_err() {
            self.database = None;
        } else {
            self.last_batch = batch;
        }
        committed
    }

    fn reopen(&mut self) -> Result<u64, StoreError> {
        // First let go of the old one: the file is locked.
        self.database = None;
        let database = (self.opener)(&self.path)?;
        (self.subject_key, self.last_batch) = read_meta(&database, &self.path)?;
        self.database = Some(database);
        Ok(self.last_batch)
    }
}

/// Opens the file at `path`, or makes it, on the backend that `backend` makes of it.
pub(super) fn open_database<B: StorageBackend>(
    backend: impl FnOnce(File) -> Result<B, DatabaseError>,
    path: &Path,
) -> Result<Database, StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    let mut magic = Vec::new();
    (&file).take(REDB_MAGIC.len() as u64).read_to_end(&mut magic)?;
    if !magic.is_empty() && magic != REDB_MAGIC {
        return Err(StoreError::NotOurs(path.to_owned()));
    }
    let open_error = |error| open_error(error, path);
    Builder::new()
        .set_cache_size(limits::REGISTRY_STORE_CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend(file).map_err(open_error)?)
        .map_err(open_error)
}

fn open_error(error: DatabaseError, path: &Path) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::Locked(path.to_owned())
        }
        DatabaseError::UpgradeRequired(version) => StoreError::FormatUnknown(version),
        DatabaseError::Storage(StorageError::Io(error)) if is_content(&error) => {
            StoreError::Damaged(error.to_string())
        }
        DatabaseError::Storage(error) => failed(error),
        other => StoreError::Damaged(other.to_string()),
    }
}

/// Whether the error is about what the file says rather than about the disk.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Makes all tables and the subject key, in one transaction: a crash leaves an empty file or a whole store.
fn found_if_empty(database: &Database, path: &Path) -> Result<(), StoreError> {
    let writing = database.begin_write().map_err(failed)?;
    if writing.list_tables().map_err(failed)?.next().is_some() {
        return writing.abort().map_err(failed);
    }
    tracing::info!(path = %path.display(), "a new registry store");
    let mut subject_key = Zeroizing::new([0; 32]);
    ids::fill_random(subject_key.as_mut());
    {
        let mut meta = writing.open_table(META).map_err(failed)?;
        meta.insert(META_FORMAT, &[FORMAT][..]).map_err(failed)?;
        meta.insert(META_SUBJECT_KEY, &subject_key[..]).map_err(failed)?;
        meta.insert(META_BATCH, &0u64.to_be_bytes()[..]).map_err(failed)?;
    }
    writing.open_table(DEVICES).map_err(failed)?;
    writing.open_table(CLAIMS).map_err(failed)?;
    writing.open_table(ENDED).map_err(failed)?;
    writing.open_table(UNRECORDED).map_err(failed)?;
    writing.commit().map_err(failed)
}

fn read_meta(database: &Database, path: &Path) -> Result<(Zeroizing<[u8; 32]>, u64), StoreError> {
    let reading = database.begin_read().map_err(failed)?;
    // Somebody else's redb file has other tables.
    let meta = reading.open_table(META).map_err(|_| StoreError::NotOurs(path.to_owned()))?;
    let value = |name| meta.get(name).map_err(failed);
    match value(META_FORMAT)?.as_ref().map(|format| format.value()) {
        Some(&[FORMAT]) => {}
        Some(&[format]) => return Err(StoreError::FormatUnknown(format)),
        _ => return Err(StoreError::NotOurs(path.to_owned())),
    }
    let damaged = || StoreError::RowUnreadable("meta");
    let key = value(META_SUBJECT_KEY)?.ok_or_else(damaged)?;
    let batch = value(META_BATCH)?.ok_or_else(damaged)?;
    Ok((
        Zeroizing::new(key.value().try_into().map_err(|_| damaged())?),
        u64::from_be_bytes(batch.value().try_into().map_err(|_| damaged())?),
    ))
}

fn write(database: &Database, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError> {
    let mut writing = database.begin_write().map_err(failed)?;
    // The default, said aloud: an acknowledged change survives a power cut.
    writing.set_durability(Durability::Immediate).map_err(failed)?;
    apply(&writing, batch, mutations)?;
    writing.commit().map_err(failed)
}

fn apply(writing: &WriteTransaction, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError> {
    let mut devices = writing.open_table(DEVICES).map_err(failed)?;
    let mut claims = writing.open_table(CLAIMS).map_err(failed)?;
    let mut ended = writing.open_table(ENDED).map_err(failed)?;
    let mut unrecorded = writing.open_table(UNRECORDED).map_err(failed)?;
    let mut meta = writing.open_table(META).map_err(failed)?;
    for mutation in mutations {
        match mutation {
            Mutation::Put(Row::Device(id, device)) => {
                devices.insert(id.bits(), &rows::write_device(device)[..]).map(drop)
            }
            Mutation::Put(Row::Claim(handle, claim)) => claims
                .insert(&rows::handle_key(handle)[..], &rows::write_claim(claim)[..])
                .map(drop),
            Mutation::Put(Row::Ended(handle, end)) => {
                ended.insert(&rows::handle_key(handle)[..], &rows::write_ended(*end)[..]).map(drop)
            }
            Mutation::Put(Row::Unrecorded(place, change)) => {
                unrecorded.insert(place, &rows::write_change(change)[..]).map(drop)
            }
            Mutation::Remove(Key::Device(id)) => devices.remove(id.bits()).map(drop),
            Mutation::Remove(Key::Claim(handle)) => {
                claims.remove(&rows::handle_key(handle)[..]).map(drop)
            }
            Mutation::Remove(Key::Ended(handle)) => {
                ended.remove(&rows::handle_key(handle)[..]).map(drop)
            }
            Mutation::Remove(Key::Unrecorded(place)) => unrecorded.remove(place).map(drop),
        }
        .map_err(failed)?;
    }
    meta.insert(META_BATCH, &batch.to_be_bytes()[..]).map(drop).map_err(failed)
}

/// redb's many error types say one of three things.
fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => StoreError::Io(error),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => StoreError::NotOpen,
        other => StoreError::Damaged(other.to_string()),
    }
}

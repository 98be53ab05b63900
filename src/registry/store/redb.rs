//! The embedded store: one redb file, `<data>/registry/registry.redb`.
//!
//! Every batch is one transaction with immediate durability: when `commit` returns, it is on the disk, and a crash at
//! any earlier point leaves the store as before the batch.
//!
//! Opening checks every page's checksum: without that a bad sector would become a wrong answer, or a panic. The same
//! pass repairs what a crash left, so redb's quick repair, which makes each commit dearer, would save nothing.

use std::{
    collections::HashSet,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, StorageBackend, StorageError, backends::FileBackend,
};

use crate::{
    clock::Timestamp,
    files::{self, File, OsDisk},
    ids::AccountId,
    limits,
};

use super::{
    interface::{Applied, CopyFor, Identity, Mutation, Reader, Row, Store, StoreError},
    rows,
    tables::{self, ACCOUNTS, Tables},
};
use crate::registry::{
    account::Account,
    expiring::{ExpiringRow, RowKey, RowKind},
    packed::Packed,
};

const FILE: &str = "registry.redb";
/// The first bytes of every redb file.
const REDB_MAGIC: &[u8; 4] = b"redb";

/// Opens the file; tests put a failing disk in between.
type Opener = fn(&Path) -> Result<Database, StoreError>;

/// A store in one file.
pub(crate) struct RedbStore {
    path: PathBuf,
    opener: Opener,
    opened: Arc<Opened>,
    identity: Identity,
    last_batch: u64,
    applied: Applied,
}

/// A step of [`RedbStore::fill`].
pub(crate) enum FillStep {
    /// The row of an account.
    Account(u64, Vec<u8>),
    /// Anything else.
    Other(Mutation),
}

/// The open file. None after a failed commit: redb refuses everything once its file has failed, so it is opened anew.
struct Opened(RwLock<Option<Arc<Database>>>);

impl Opened {
    fn get(&self) -> Result<Arc<Database>, StoreError> {
        let database = self.0.read().unwrap_or_else(PoisonError::into_inner);
        database.clone().ok_or(StoreError::NotOpen)
    }

    fn table(&self) -> Result<ReadOnlyTable<u64, &'static [u8]>, StoreError> {
        Ok(self.get()?.begin_read()?.open_table(ACCOUNTS)?)
    }

    fn set(&self, database: Option<Database>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = database.map(Arc::new);
    }
}

impl RedbStore {
    /// Opens the store in `dir`, which is made if missing, and the store founded `now` if there is none.
    pub(crate) fn open(dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        make_if_missing(dir)?;
        Self::open_by(dir, now, |path| open_database(FileBackend::new, path))
    }

    pub(super) fn open_by(dir: &Path, now: Timestamp, opener: Opener) -> Result<Self, StoreError> {
        files::create_dir(dir)?;
        let path = dir.join(FILE);
        let database = opener(&path)?;
        // The file's name must survive a power cut as its content does.
        files::sync_dir(dir)?;
        files::sync_dir(files::parent(dir))?;
        found_if_empty(&database, &path, now)?;
        tables::upgrade(&database)?;
        let (identity, last_batch, applied) = tables::read_meta(&database, &path)?;
        let opened = Arc::new(Opened(RwLock::new(Some(Arc::new(database)))));
        Ok(Self { path, opened, identity, last_batch, applied, opener })
    }

    /// How many accounts are stored.
    pub(crate) fn accounts(&self) -> Result<u64, StoreError> {
        Ok(self.opened.table()?.len()?)
    }

    /// The expiring rows of one kind.
    pub(crate) fn rows_of(&self, kind: RowKind) -> Result<Vec<(RowKey, ExpiringRow)>, StoreError> {
        tables::rows_of(&*self.opened.get()?, kind)
    }

    /// Commits all steps that `next` gives, piece by piece until one is empty, as one batch: all or none. Accounts in
    /// the order of their ids are the fastest.
    pub(crate) fn fill(
        &mut self,
        batch: u64,
        next: &mut dyn FnMut() -> Result<Vec<FillStep>, StoreError>,
    ) -> Result<(), StoreError> {
        self.committed(batch, |tables| {
            loop {
                let steps = next()?;
                if steps.is_empty() {
                    return Ok(());
                }
                for step in steps {
                    match step {
                        FillStep::Account(id, row) => tables.put_account(id, &row)?,
                        FillStep::Other(mutation) => tables.apply(&mutation)?,
                    }
                }
            }
        })
    }

    /// Takes another identity over.
    pub(crate) fn set_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let writing = self.opened.get()?.begin_write()?;
        tables::write_identity(&writing, identity)?;
        writing.commit()?;
        self.identity = identity.clone();
        Ok(())
    }

    fn check_exists(&self) -> Result<(), StoreError> {
        match self.path.try_exists()? {
            true => Ok(()),
            false => {
                Err(io::Error::new(io::ErrorKind::NotFound, "the registry's file was removed")
                    .into())
            }
        }
    }

    fn committed(
        &mut self,
        batch: u64,
        write: impl FnOnce(&mut Tables<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let committed = tables::commit(&*self.opened.get()?, batch, write);
        // What is in a file without a name is lost when it is closed.
        let committed = committed.and_then(|applied| self.check_exists().map(|()| applied));
        match committed {
            Ok(applied) => {
                (self.last_batch, self.applied) = (batch, applied.unwrap_or(self.applied));
                Ok(())
            }
            Err(error) => {
                self.opened.set(None);
                Err(error)
            }
        }
    }
}

impl FillStep {
    /// `mutation` with as much of the work done as needs no transaction.
    pub(crate) fn of(mutation: Mutation) -> Self {
        match mutation {
            Mutation::PutAccount { account, .. } => {
                Self::Account(account.id.bits(), rows::write_account(&account))
            }
            other => Self::Other(other),
        }
    }
}

impl Store for RedbStore {
    fn identity(&self) -> Identity {
        self.identity.clone()
    }

    fn last_batch(&self) -> u64 {
        self.last_batch
    }

    fn applied(&self) -> Applied {
        self.applied
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.opened.clone()
    }

    fn load(&mut self, visit: &mut dyn FnMut(Row)) -> Result<(), StoreError> {
        tables::load(&*self.opened.get()?, visit)
    }

    fn commit(&mut self, batch: u64, mutations: &[Mutation]) -> Result<(), StoreError> {
        self.committed(batch, |tables| mutations.iter().try_for_each(|step| tables.apply(step)))
    }

    fn reopen(&mut self) -> Result<u64, StoreError> {
        // First let go of the old one: the file is locked.
        self.opened.set(None);
        // Opening would make an empty one.
        self.check_exists()?;
        let database = (self.opener)(&self.path)?;
        (self.identity, self.last_batch, self.applied) = tables::read_meta(&database, &self.path)?;
        self.opened.set(Some(database));
        Ok(self.last_batch)
    }
}

impl Reader for Opened {
    fn account(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let accounts = self.table()?;
        let row = accounts.get(id.bits())?;
        row.map(|row| rows::read_account(id.bits(), row.value())).transpose()
    }

    fn known(&self, ids: &[AccountId]) -> Result<HashSet<AccountId>, StoreError> {
        let accounts = self.table()?;
        let mut known = HashSet::new();
        for id in ids {
            if accounts.get(id.bits())?.is_some() {
                known.insert(*id);
            }
        }
        Ok(known)
    }

    fn packed(
        &self,
        part: usize,
        parts: usize,
        visit: &mut dyn FnMut(Packed<'_>),
    ) -> Result<(), StoreError> {
        let accounts = self.table()?;
        // Ids are random, so equal parts of all ids are equal parts of the rows.
        let share = u64::MAX / parts.max(1) as u64;
        let first = share * part as u64;
        let last = if part + 1 == parts { u64::MAX } else { first + share - 1 };
        for row in accounts.range(first..=last)? {
            let (key, value) = row?;
            visit(rows::read_packed(key.value(), value.value())?);
        }
        Ok(())
    }

    fn accounts(&self, visit: &mut dyn FnMut(Account) -> bool) -> Result<(), StoreError> {
        for row in self.table()?.iter()? {
            let (key, value) = row?;
            if !visit(rows::read_account(key.value(), value.value())?) {
                break;
            }
        }
        Ok(())
    }

    fn copy(&self, to: &Path, copy_for: CopyFor) -> Result<(), StoreError> {
        let backend =
            FileBackend::new(files::create(to)?).map_err(|error| open_error(error, to))?;
        let copy = Builder::new().create_with_backend(backend);
        tables::copy(&*self.get()?, &copy.map_err(|error| open_error(error, to))?, copy_for)
    }
}

/// Makes the file in `dir` if there is none. It appears whole: redb takes a file whose making was interrupted for none of its own.
fn make_if_missing(dir: &Path) -> Result<(), StoreError> {
    files::create_dir(dir)?;
    let path = dir.join(FILE);
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    let unfinished = files::unfinished_name(&path);
    files::remove_if_exists(&unfinished)?;
    drop(open_database(FileBackend::new, &unfinished)?);
    Ok(OsDisk::shared().rename(&unfinished, &path)?)
}

/// Opens the file at `path`, or makes it, on the backend that `backend` makes of it.
pub(super) fn open_database<B: StorageBackend>(
    backend: impl FnOnce(File) -> Result<B, DatabaseError>,
    path: &Path,
) -> Result<Database, StoreError> {
    let file = files::open_or_create(path)?;
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
        DatabaseError::Storage(error) => error.into(),
        other => StoreError::Damaged(other.to_string()),
    }
}

/// Whether the error is about what the file says rather than about the disk.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// Founds a new store, in one transaction: a crash leaves an empty file or a whole store.
fn found_if_empty(database: &Database, path: &Path, now: Timestamp) -> Result<(), StoreError> {
    let writing = database.begin_write()?;
    if writing.list_tables()?.next().is_some() {
        return Ok(writing.abort()?);
    }
    tracing::info!(path = %path.display(), "a new registry store");
    tables::found(&writing, now)?;
    Ok(writing.commit()?)
}

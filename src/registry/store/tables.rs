//! The tables of the embedded store, and what each step does to them.

use std::path::Path;

use redb::{
    Durability, Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, Table,
    TableDefinition, WriteTransaction,
};
use zeroize::Zeroizing;

use super::{
    interface::{Applied, CopyFor, Identity, Mutation, Row, StoreError},
    rows,
};
use crate::{
    clock::Timestamp,
    ids,
    registry::expiring::{ExpiringRow, RowKey, RowKind},
    shared_log::Head,
};

pub(super) const ACCOUNTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(rows::ACCOUNTS);
pub(super) const ENDED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(rows::ENDED);
pub(super) const UNRECORDED: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new(rows::UNRECORDED);
pub(super) const EXPIRING: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(rows::EXPIRING);
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const META_FORMAT: &str = "format";
const META_SUBJECT_KEY: &str = "subject_key";
const META_FOUNDED_AT: &str = "founded_at";
const META_BATCH: &str = "batch";
/// Of a store that follows a shared log: place, hash, and instant of its last entry.
const META_APPLIED: &str = "applied";
/// The version of these tables and rows. A store with another version is refused, except the former one: see [`upgrade`].
const FORMAT: u8 = 3;
/// It had no table of expiring rows.
const FORMAT_BEFORE: u8 = 2;

/// Added to the version of a store that follows a shared log. A version of dispatchd that knows nothing of such logs refuses it: what
/// that changed would be in no entry.
const FOLLOWS_LOG: u8 = 0x80;

/// Makes all tables and what is the store's own.
pub(super) fn found(writing: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    let mut subject_key = Zeroizing::new([0; 32]);
    ids::fill_random(subject_key.as_mut());
    write_format(writing, FORMAT)?;
    write_identity(writing, &Identity { subject_key, founded_at: now })?;
    number(writing, 0)?;
    Tables::open(writing).map(drop)
}

/// Brings a store of the former format to this one, in one transaction.
pub(super) fn upgrade(database: &redb::Database) -> Result<(), StoreError> {
    let is_former = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta.get(META_FORMAT)?.is_some_and(|format| format.value() == [FORMAT_BEFORE]),
        // It is not ours, as reading its identity shows.
        Err(_) => false,
    };
    if !is_former {
        return Ok(());
    }
    let writing = database.begin_write()?;
    // Opening a table that is missing makes it.
    Tables::open(&writing).map(drop)?;
    write_format(&writing, FORMAT)?;
    writing.commit()?;
    tracing::info!("the registry store has now format {FORMAT}; versions before cannot read it");
    Ok(())
}

fn write_format(writing: &WriteTransaction, format: u8) -> Result<(), StoreError> {
    writing.open_table(META)?.insert(META_FORMAT, &[format][..])?;
    Ok(())
}

fn write_applied(writing: &WriteTransaction, applied: Applied) -> Result<(), StoreError> {
    if applied == Applied::NONE {
        writing.open_table(META)?.remove(META_APPLIED)?;
        return write_format(writing, FORMAT);
    }
    let [place, at] = [applied.head.place, applied.decided_at.as_micros()].map(u64::to_be_bytes);
    let row = [&place[..], &applied.head.hash, &at].concat();
    writing.open_table(META)?.insert(META_APPLIED, &row[..])?;
    write_format(writing, FORMAT | FOLLOWS_LOG)
}

fn read_applied(row: &[u8]) -> Option<Applied> {
    let (place, row) = row.split_first_chunk()?;
    let (hash, row) = row.split_first_chunk()?;
    let head = Head { place: u64::from_be_bytes(*place), hash: *hash };
    let decided_at = Timestamp::from_micros(u64::from_be_bytes(row.try_into().ok()?));
    Some(Applied { head, decided_at })
}

/// Replaces what is the store's own.
pub(super) fn write_identity(
    writing: &WriteTransaction,
    identity: &Identity,
) -> Result<(), StoreError> {
    let mut meta = writing.open_table(META)?;
    meta.insert(META_SUBJECT_KEY, &identity.subject_key[..])?;
    let founded_at = identity.founded_at.as_micros().to_be_bytes();
    meta.insert(META_FOUNDED_AT, &founded_at[..])?;
    Ok(())
}

/// Copies all tables as one reading sees them into a new database, as far as the copy is for that: sorted rows into empty tables, in one
/// transaction.
pub(super) fn copy(
    from: &redb::Database,
    to: &redb::Database,
    copy_for: CopyFor,
) -> Result<(), StoreError> {
    let is_whole = copy_for == CopyFor::Joiner;
    let reading = from.begin_read()?;
    let writing = to.begin_write()?;
    copy_table(&reading, &writing, META, |_| true)?;
    copy_table(&reading, &writing, ACCOUNTS, |_| true)?;
    copy_table(&reading, &writing, ENDED, |_| true)?;
    copy_table(&reading, &writing, UNRECORDED, |_| true)?;
    copy_table(&reading, &writing, EXPIRING, |key| is_whole || rows::is_copied(key))?;
    if !is_whole {
        write_applied(&writing, Applied::NONE)?;
    }
    Ok(writing.commit()?)
}

fn copy_table<K: Key + 'static>(
    reading: &ReadTransaction,
    writing: &WriteTransaction,
    table: TableDefinition<'_, K, &'static [u8]>,
    is_copied: impl Fn(K::SelfType<'_>) -> bool,
) -> Result<(), StoreError> {
    let mut target = writing.open_table(table)?;
    for row in reading.open_table(table)?.iter()? {
        let (key, value) = row?;
        if is_copied(key.value()) {
            target.insert(key.value(), value.value())?;
        }
    }
    Ok(())
}

/// What is the store's own, the number of its last batch, and the last entry that it holds.
pub(super) fn read_meta(
    database: &redb::Database,
    path: &Path,
) -> Result<(Identity, u64, Applied), StoreError> {
    let reading = database.begin_read()?;
    // Somebody else's redb file has other tables.
    let not_ours = || StoreError::NotOurs(path.to_owned());
    let meta = reading.open_table(META).map_err(|_| not_ours())?;
    let value = |name| meta.get(name);
    let damaged = || StoreError::RowUnreadable("meta");
    let applied = match value(META_FORMAT)?.as_ref().map(|format| format.value()) {
        Some(&[FORMAT]) => Applied::NONE,
        Some(&[format]) if format == FORMAT | FOLLOWS_LOG => {
            let applied = value(META_APPLIED)?.ok_or_else(damaged)?;
            read_applied(applied.value()).ok_or_else(damaged)?
        }
        Some(&[format]) => return Err(StoreError::FormatUnknown(format)),
        _ => return Err(not_ours()),
    };
    let key = value(META_SUBJECT_KEY)?.ok_or_else(damaged)?;
    let number = |name| -> Result<u64, StoreError> {
        let bytes = value(name)?.ok_or_else(damaged)?;
        Ok(u64::from_be_bytes(bytes.value().try_into().map_err(|_| damaged())?))
    };
    let identity = Identity {
        subject_key: Zeroizing::new(key.value().try_into().map_err(|_| damaged())?),
        founded_at: Timestamp::from_micros(number(META_FOUNDED_AT)?),
    };
    Ok((identity, number(META_BATCH)?, applied))
}

/// Every row that is no account.
pub(super) fn load(
    database: &redb::Database,
    visit: &mut dyn FnMut(Row),
) -> Result<(), StoreError> {
    let reading = database.begin_read()?;
    for row in reading.open_table(ENDED)?.iter()? {
        let (key, value) = row?;
        visit(rows::read_ended(key.value(), value.value())?);
    }
    for row in reading.open_table(UNRECORDED)?.iter()? {
        let (key, value) = row?;
        visit(Row::Unrecorded(rows::read_unrecorded(key.value(), value.value())?));
    }
    for row in reading.open_table(EXPIRING)?.iter()? {
        let (key, value) = row?;
        visit(rows::read_expiring(key.value(), value.value())?);
    }
    Ok(())
}

/// The expiring rows of one kind, in the order of their keys.
pub(super) fn rows_of(
    database: &redb::Database,
    kind: RowKind,
) -> Result<Vec<(RowKey, ExpiringRow)>, StoreError> {
    let [first, end] = rows::keys_of(kind);
    let table = database.begin_read()?.open_table(EXPIRING)?;
    let mut found = Vec::new();
    for row in table.range::<&[u8]>(&first[..]..&end[..])? {
        let (key, value) = row?;
        if let Row::Expiring(key, row) = rows::read_expiring(key.value(), value.value())? {
            found.push((key, row));
        }
    }
    Ok(found)
}

/// Commits what `write` does as batch number `batch`. Returns the entry that the store holds now, if that changed.
pub(super) fn commit(
    database: &redb::Database,
    batch: u64,
    write: impl FnOnce(&mut Tables<'_>) -> Result<(), StoreError>,
) -> Result<Option<Applied>, StoreError> {
    let mut writing = database.begin_write()?;
    // The default, said aloud: an acknowledged change survives a power cut.
    writing.set_durability(Durability::Immediate)?;
    let mut tables = Tables::open(&writing)?;
    write(&mut tables)?;
    let applied = tables.applied;
    drop(tables);
    if let Some(applied) = applied {
        write_applied(&writing, applied)?;
    }
    number(&writing, batch)?;
    writing.commit()?;
    Ok(applied)
}

/// Notes the number of the batch that is being committed.
pub(super) fn number(writing: &WriteTransaction, batch: u64) -> Result<(), StoreError> {
    let mut meta = writing.open_table(META)?;
    meta.insert(META_BATCH, &batch.to_be_bytes()[..])?;
    Ok(())
}

/// The tables of one transaction.
pub(super) struct Tables<'t> {
    accounts: Table<'t, u64, &'static [u8]>,
    ended: Table<'t, &'static [u8], &'static [u8]>,
    unrecorded: Table<'t, u64, &'static [u8]>,
    expiring: Table<'t, &'static [u8], &'static [u8]>,
    applied: Option<Applied>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(writing: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            accounts: writing.open_table(ACCOUNTS)?,
            ended: writing.open_table(ENDED)?,
            unrecorded: writing.open_table(UNRECORDED)?,
            expiring: writing.open_table(EXPIRING)?,
            applied: None,
        })
    }

    pub(super) fn put_account(&mut self, id: u64, row: &[u8]) -> Result<(), StoreError> {
        self.accounts.insert(id, row)?;
        Ok(())
    }

    pub(super) fn apply(&mut self, mutation: &Mutation) -> Result<(), StoreError> {
        match mutation {
            Mutation::PutAccount { account, .. } => {
                self.put_account(account.id.bits(), &rows::write_account(account))?;
            }
            Mutation::RemoveAccount { id, .. } => drop(self.accounts.remove(id.bits())?),
            Mutation::CheckIn { account, device, at } => {
                let account = account.bits();
                let row = match self.accounts.get(account)? {
                    Some(row) => rows::write_check_in(account, row.value(), *device, *at)?,
                    None => return Err(StoreError::Damaged("an account is missing".to_owned())),
                };
                self.put_account(account, &row)?;
            }
            Mutation::PutTombstone(handle, end) => {
                let (key, row) = (rows::handle_key(handle), rows::write_ended(*end));
                self.ended.insert(&key[..], &row[..])?;
            }
            Mutation::RemoveTombstone(handle) => {
                self.ended.remove(&rows::handle_key(handle)[..])?;
            }
            Mutation::PutUnrecorded(row) => {
                self.unrecorded.insert(row.place, &rows::write_unrecorded(row)[..])?;
            }
            Mutation::RemoveUnrecorded(place) => drop(self.unrecorded.remove(place)?),
            Mutation::PutRow(key, row) => {
                let (key, row) = (rows::expiring_key(key), rows::write_expiring(row));
                self.expiring.insert(&key[..], &row[..])?;
            }
            Mutation::RemoveRow(key) => {
                self.expiring.remove(&rows::expiring_key(key)[..])?;
            }
            Mutation::Applied(applied) => self.applied = Some(*applied),
        }
        Ok(())
    }
}

/// redb's many error types say one of three things.
macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                match error.into() {
                    redb::Error::Io(error) => Self::Io(error),
                    redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::NotOpen,
                    other => Self::Damaged(other.to_string()),
                }
            }
        }
    )*};
}

from_redb!(CommitError, SetDurabilityError, StorageError, TableError, TransactionError);

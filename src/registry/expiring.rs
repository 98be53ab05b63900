//! Expiring rows: small durable facts beside the accounts, which end by themselves.
//!
//! Sessions, link codes, counters and flags are such rows. The registry keeps them and drops them after their end; it does
//! not interpret them, except [`RowKind::Flag`]. They are in the store, and here in memory for reading.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{clock::Timestamp, redacted::redacted_debug};

/// What a row is about. Each kind has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RowKind {
    /// A verification that binds a handle to a device.
    Session = 1,
    /// Finds a session by its asker and handle.
    SessionOf = 2,
    /// A link code that a device may join an account with.
    LinkCode = 3,
    /// How many codes were sent.
    Sends = 4,
    /// How many sent codes were answered.
    Conversion = 5,
    /// An account that gets no new handles. Only the registry writes these: see
    /// [`Registry::flag_account`](super::Registry::flag_account).
    Flag = 6,
    /// A verification that takes a handle from every device. Nobody needs a token to begin one, so they are counted
    /// separately.
    Deregistration = 7,
    /// The open link codes of an account.
    LinkCodesOf = 8,
    /// An account whose flag a proof has cleared lately.
    FlagCleared = 9,
    /// Who may use the operators' API. It stays until it is removed. No copy of the store has it: a registry that is restored
    /// must not let in whoever was revoked since.
    Operator = 10,
    /// A node of the cluster. No copy of the store for a single machine has it.
    Member = 11,
    /// A permission to join the cluster.
    Invite = 12,
    /// A key of the shared log's entries, sealed to one member.
    EntryKey = 13,
}

impl RowKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Session,
        Self::SessionOf,
        Self::LinkCode,
        Self::Sends,
        Self::Conversion,
        Self::Flag,
        Self::Deregistration,
        Self::LinkCodesOf,
        Self::FlagCleared,
        Self::Operator,
        Self::Member,
        Self::Invite,
        Self::EntryKey,
    ];

    /// The number on disk. Stable, never reused.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    pub(super) const fn place(self) -> usize {
        self as usize - 1
    }
}

/// The name of a row: its kind, and up to [`ROW_KEY_BYTES_MAX`](crate::limits::REGISTRY_ROW_KEY_BYTES_MAX) bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    pub(super) kind: RowKind,
    pub(super) key: Arc<[u8]>,
}

/// The content of a row. It counts until just before `ends_at`; without an end it stays until it is removed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ExpiringRow {
    pub(super) ends_at: Option<Timestamp>,
    pub(super) value: Box<[u8]>,
}

redacted_debug!(RowKey, ExpiringRow);

impl ExpiringRow {
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now)
    }
}

/// Something for each row, found by kind and key.
pub(super) struct ByKey<T>([BTreeMap<Arc<[u8]>, T>; RowKind::ALL.len()]);

impl<T> Default for ByKey<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| BTreeMap::new()))
    }
}

impl<T> ByKey<T> {
    pub(super) fn get(&self, kind: RowKind, key: &[u8]) -> Option<&T> {
        self.0[kind.place()].get(key)
    }

    pub(super) fn insert(&mut self, key: RowKey, item: T) -> Option<T> {
        self.0[key.kind.place()].insert(key.key, item)
    }

    fn remove(&mut self, key: &RowKey) -> Option<T> {
        self.0[key.kind.place()].remove(&key.key)
    }

    pub(super) fn of(&self, kind: RowKind) -> &BTreeMap<Arc<[u8]>, T> {
        &self.0[kind.place()]
    }

    /// All of it, by kind and then by key.
    pub(super) fn into_items(self) -> impl Iterator<Item = (RowKey, T)> {
        let items = |(kind, items): (RowKind, BTreeMap<Arc<[u8]>, T>)| {
            items.into_iter().map(move |(key, item)| (RowKey { kind, key }, item))
        };
        RowKind::ALL.into_iter().zip(self.0).flat_map(items)
    }
}

/// All rows that are visible.
#[derive(Default)]
pub(super) struct ExpiringRows {
    rows: ByKey<ExpiringRow>,
    /// Those that end, in the order of their ends.
    ends: BTreeSet<(Timestamp, RowKey)>,
}

impl ExpiringRows {
    /// A row, also one that has ended and is not dropped yet.
    pub(super) fn get(&self, kind: RowKind, key: &[u8]) -> Option<&ExpiringRow> {
        self.rows.get(kind, key)
    }

    /// How many rows of a kind there are, with those that have ended and are not dropped yet.
    pub(super) fn count(&self, kind: RowKind) -> usize {
        self.rows.of(kind).len()
    }

    /// The rows of a kind, in the order of their keys, with those that have ended and are not dropped yet.
    pub(super) fn each(&self, kind: RowKind) -> impl Iterator<Item = (&[u8], &ExpiringRow)> {
        self.rows.of(kind).iter().map(|(key, row)| (&**key, row))
    }

    /// The rows that have ended, the first to end first.
    pub(super) fn ended(&self, now: Timestamp) -> impl Iterator<Item = &RowKey> {
        self.ends.iter().take_while(move |(end, _)| *end <= now).map(|(_, key)| key)
    }

    pub(super) fn put(&mut self, key: RowKey, row: ExpiringRow) {
        if let Some(end) = row.ends_at {
            self.ends.insert((end, key.clone()));
        }
        let (ends_at, before) = (row.ends_at, self.rows.insert(key.clone(), row));
        if let Some(end) = before.and_then(|before| before.ends_at)
            && Some(end) != ends_at
        {
            self.ends.remove(&(end, key));
        }
    }

    pub(super) fn remove(&mut self, key: RowKey) {
        if let Some(end) = self.rows.remove(&key).and_then(|row| row.ends_at) {
            self.ends.remove(&(end, key));
        }
    }
}

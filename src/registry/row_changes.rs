//! [`Rows`]: what a command reads and changes of the expiring rows.

use std::collections::BTreeSet;

use crate::{clock::Timestamp, limits};

use super::expiring::{ByKey, ExpiringRow, ExpiringRows, RowKey, RowKind};

/// Rows as a transaction shall leave them.
#[derive(Default)]
pub(super) struct RowChanges {
    /// A row to be stored, or none for one to be removed.
    after: ByKey<Option<ExpiringRow>>,
    /// How many more rows of each kind there will be.
    more: [isize; RowKind::ALL.len()],
}

impl RowChanges {
    /// The row as these changes leave it: none if they do not concern it.
    fn get(&self, kind: RowKind, key: &[u8]) -> Option<Option<&ExpiringRow>> {
        self.after.get(kind, key).map(Option::as_ref)
    }

    fn more(&self, kind: RowKind) -> isize {
        self.more[kind.place()]
    }

    /// Adds later changes.
    pub(super) fn add(&mut self, later: Self) {
        for (more, later) in self.more.iter_mut().zip(later.more) {
            *more += later;
        }
        for (key, row) in later.after.into_items() {
            self.after.insert(key, row);
        }
    }

    /// Every changed row: as it shall be, or none if it shall be gone.
    pub(super) fn into_items(self) -> impl Iterator<Item = (RowKey, Option<ExpiringRow>)> {
        self.after.into_items()
    }
}

/// The registry's small durable rows, as a command's plan reads and changes them.
///
/// Reads show what earlier commands of the same transaction changed. All changes of a plan become durable together, or
/// none. A plan runs on the registry's writer thread: it must not block, and not call the registry.
pub struct Rows<'p> {
    visible: &'p ExpiringRows,
    /// Of the commands before, in the same transaction.
    earlier: &'p RowChanges,
    own: RowChanges,
    now: Timestamp,
}

impl<'p> Rows<'p> {
    pub(super) fn new(visible: &'p ExpiringRows, earlier: &'p RowChanges, now: Timestamp) -> Self {
        Self { visible, earlier, own: RowChanges::default(), now }
    }

    pub(super) fn into_changes(self) -> RowChanges {
        self.own
    }

    /// When the transaction is decided.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The value of a row. None if there is none, or once it has ended: at `ends_at` and later.
    pub fn get(&self, kind: RowKind, key: &[u8]) -> Option<&[u8]> {
        let row = self.stored(kind, key).filter(|row| !row.has_ended(self.now));
        row.map(|row| &*row.value)
    }

    /// Key and value of each row of a kind that has not ended, in the order of the keys.
    pub fn all(&self, kind: RowKind) -> Vec<(Vec<u8>, Vec<u8>)> {
        let changed = [self.earlier, &self.own].map(|changes| changes.after.of(kind).keys());
        let visible = self.visible.each(kind).map(|(key, _)| key);
        let keys: BTreeSet<&[u8]> =
            visible.chain(changed.into_iter().flatten().map(|key| &**key)).collect();
        let row = |key: &[u8]| Some((key.to_vec(), self.get(kind, key)?.to_vec()));
        keys.into_iter().filter_map(row).collect()
    }

    fn stored(&self, kind: RowKind, key: &[u8]) -> Option<&ExpiringRow> {
        let changed = self.own.get(kind, key).or_else(|| self.earlier.get(kind, key));
        changed.unwrap_or_else(|| self.visible.get(kind, key))
    }

    /// Puts a row in the place of the one with this key, if there is one. It ends at `ends_at`, or never.
    ///
    /// # Panics
    /// If `key` or `value` is longer than [`limits::REGISTRY_ROW_KEY_BYTES_MAX`] or
    /// [`limits::REGISTRY_ROW_VALUE_BYTES_MAX`]. If `kind` is [`RowKind::Flag`]: flags change with a record.
    pub fn put(&mut self, kind: RowKind, key: &[u8], ends_at: Option<Timestamp>, value: Vec<u8>) {
        assert!(kind != RowKind::Flag, "flags change by commands of their own");
        self.write(kind, key, Some(ExpiringRow { ends_at, value: value.into() }));
    }

    /// Removes a row, if there is one. One that has ended is dropped by itself.
    ///
    /// # Panics
    /// If `kind` is [`RowKind::Flag`]: flags change with a record.
    pub fn remove(&mut self, kind: RowKind, key: &[u8]) {
        assert!(kind != RowKind::Flag, "flags change by commands of their own");
        if self.get(kind, key).is_some() {
            self.write(kind, key, None);
        }
    }

    /// Puts or removes a row of any kind.
    pub(super) fn write(&mut self, kind: RowKind, key: &[u8], row: Option<ExpiringRow>) {
        assert!(key.len() <= limits::REGISTRY_ROW_KEY_BYTES_MAX, "a row's key is too long");
        let value_len = row.as_ref().map_or(0, |row| row.value.len());
        assert!(value_len <= limits::REGISTRY_ROW_VALUE_BYTES_MAX, "a row's value is too long");
        let before = self.stored(kind, key);
        if before == row.as_ref() {
            return;
        }
        self.own.more[kind.place()] += isize::from(row.is_some()) - isize::from(before.is_some());
        self.own.after.insert(RowKey { kind, key: key.into() }, row);
    }

    /// How many rows of a kind there are. Rows that have ended count until they are dropped, soon after.
    pub fn count(&self, kind: RowKind) -> usize {
        let more = self.earlier.more(kind) + self.own.more(kind);
        self.visible.count(kind).saturating_add_signed(more)
    }
}

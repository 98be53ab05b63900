//! What plans read of the registry's rows, and how they change them.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    registry::{RowKind, Rows, RowsView},
};

/// Rows at one moment.
///
/// Every plan is a function of these. It runs twice: first on what is visible, to refuse a request without a commit, and
/// then within the transaction that makes its changes durable.
pub(super) trait ReadRows {
    /// The moment.
    fn now(&self) -> Timestamp;

    /// A row that has not ended.
    fn get(&self, kind: RowKind, key: &[u8]) -> Option<&[u8]>;

    /// How many rows of a kind there are.
    fn count(&self, kind: RowKind) -> usize;

    /// A row that [`RowChange::put`] wrote. One that cannot be read counts as none.
    fn read<T: for<'de> Deserialize<'de>>(&self, kind: RowKind, key: &[u8]) -> Option<T> {
        postcard::from_bytes(self.get(kind, key)?).ok()
    }
}

impl ReadRows for RowsView<'_> {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn get(&self, kind: RowKind, key: &[u8]) -> Option<&[u8]> {
        self.get(kind, key)
    }

    fn count(&self, kind: RowKind) -> usize {
        self.count(kind)
    }
}

impl ReadRows for Rows<'_> {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn get(&self, kind: RowKind, key: &[u8]) -> Option<&[u8]> {
        self.get(kind, key)
    }

    fn count(&self, kind: RowKind) -> usize {
        self.count(kind)
    }
}

/// A row to write or to remove.
pub(super) struct RowChange {
    pub(super) kind: RowKind,
    pub(super) key: Vec<u8>,
    /// When the row ends, and its content. None removes it.
    pub(super) row: Option<(Timestamp, Vec<u8>)>,
}

impl RowChange {
    /// Writes a row that ends at `ends_at`.
    ///
    /// # Panics
    /// Never: rows are structs of texts and numbers, which all have a binary form.
    pub(super) fn put<T: Serialize>(
        kind: RowKind,
        key: impl Into<Vec<u8>>,
        ends_at: Timestamp,
        value: &T,
    ) -> Self {
        let value = postcard::to_stdvec(value).expect("a row has a binary form");
        Self { kind, key: key.into(), row: Some((ends_at, value)) }
    }

    pub(super) fn remove(kind: RowKind, key: impl Into<Vec<u8>>) -> Self {
        Self { kind, key: key.into(), row: None }
    }
}

/// Makes the changes, in order.
pub(super) fn apply(rows: &mut Rows<'_>, changes: Vec<RowChange>) {
    for RowChange { kind, key, row } in changes {
        match row {
            Some((ends_at, value)) => rows.put(kind, &key, Some(ends_at), value),
            None => rows.remove(kind, &key),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Rows in memory, for tests of plans.
    #[derive(Clone)]
    pub(in crate::verification) struct RowsOfTests {
        pub(in crate::verification) now: Timestamp,
        pub(in crate::verification) rows: BTreeMap<(u8, Vec<u8>), (Timestamp, Vec<u8>)>,
    }

    impl RowsOfTests {
        pub(in crate::verification) fn at(now: Timestamp) -> Self {
            Self { now, rows: BTreeMap::new() }
        }

        pub(in crate::verification) fn apply(&mut self, changes: Vec<RowChange>) {
            for RowChange { kind, key, row } in changes {
                match row {
                    Some(row) => drop(self.rows.insert((kind as u8, key), row)),
                    None => drop(self.rows.remove(&(kind as u8, key))),
                }
            }
        }
    }

    impl ReadRows for RowsOfTests {
        fn now(&self) -> Timestamp {
            self.now
        }

        fn get(&self, kind: RowKind, key: &[u8]) -> Option<&[u8]> {
            let (ends_at, value) = self.rows.get(&(kind as u8, key.to_vec()))?;
            (self.now < *ends_at).then_some(value)
        }

        fn count(&self, kind: RowKind) -> usize {
            self.rows.keys().filter(|(one, _)| *one == kind as u8).count()
        }
    }
}

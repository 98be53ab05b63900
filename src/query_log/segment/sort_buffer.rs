//! The rows of the next row group, in memory until they are sorted and written.

use std::cmp::Ordering;

use super::{
    clients::{Clients, HashedClient},
    digest::RowHasher,
    order,
    row::{self, Row, TEXT_BYTES_PER_ROW},
};
use crate::{
    handle::Handle,
    query_log::record::{HandleView, RowView},
};

/// The sort key of a row in a sealed segment. No two rows have the same key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortKey {
    handle: Option<Handle>,
    at: u32,
}

impl SortKey {
    /// Compares a row with this handle and instant to the key.
    pub(super) fn compare(&self, handle: Option<HandleView<'_>>, at: u32) -> Ordering {
        handle.cmp(&self.handle.as_ref().map(HandleView::from)).then(at.cmp(&self.at))
    }
}

/// Clients that the buffer looks up together, so that the processor waits for the memory of many look-ups at once.
const CLIENTS_AT_ONCE: usize = if cfg!(test) { 5 } else { 256 };

/// At most `rows_max` rows, and their e-mail addresses and clients.
#[derive(Debug)]
pub(super) struct SortBuffer {
    pub(super) rows: Vec<Row>,
    pub(super) texts: Vec<u8>,
    pub(super) clients: Clients,
    /// The clients of the last rows. Those rows hold an index into this list, no client number.
    newest: Vec<HashedClient>,
    /// Rows that hold a client number.
    numbered: usize,
    rows_max: usize,
    hasher: RowHasher,
}

impl SortBuffer {
    /// `hasher` must be the one that hashes the clients.
    pub(super) fn new(rows_max: usize, expected: u64, hasher: RowHasher) -> Self {
        // Offsets into the texts have 32 bits.
        let rows_max = rows_max.clamp(2, 1 << 26);
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        Self {
            rows: Vec::with_capacity(expected.min(rows_max)),
            texts: Vec::new(),
            clients: Clients::for_rows(expected.min(rows_max), hasher.clone()),
            newest: Vec::with_capacity(CLIENTS_AT_ONCE),
            numbered: 0,
            rows_max,
            hasher,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        let text_bytes_max = self.rows_max * TEXT_BYTES_PER_ROW;
        self.rows.len() >= self.rows_max
            || self.texts.len() >= text_bytes_max && self.rows.len() >= 2
    }

    /// Adds a row, `at` microseconds into the hour.
    pub(super) fn push(&mut self, at: u32, row: &RowView<'_>, client: &HashedClient) {
        // Consecutive rows often have the same client.
        if self.newest.last().is_none_or(|last| !last.is(client)) {
            if self.newest.len() == CLIENTS_AT_ONCE {
                self.number_clients();
            }
            self.newest.push(*client);
        }
        // At most `CLIENTS_AT_ONCE`.
        let client = self.newest.len() as u32 - 1;
        self.rows.push(Row::new(at, row, &mut self.texts, client));
    }

    /// Replaces indices into the newest clients by client numbers.
    fn number_clients(&mut self) {
        let Self { rows, clients, newest, numbered, .. } = self;
        let numbers = clients.intern_all(newest);
        newest.clear();
        for row in &mut rows[*numbered..] {
            row.client = numbers[row.client as usize];
        }
        *numbered = rows.len();
    }

    /// Drops all but the smallest `keep` rows, and returns the key of the largest that it keeps. It keeps at least one row and
    /// drops at least one; the buffer must hold two.
    pub(super) fn cut(&mut self, keep: usize) -> Option<SortKey> {
        let keep = keep.clamp(1, self.rows.len().checked_sub(1)?);
        self.number_clients();
        let Self { rows, texts, .. } = self;
        rows.select_nth_unstable_by(keep - 1, |a, b| a.compare(b, texts));
        rows.truncate(keep);
        self.numbered = keep;
        let key = self.key(keep - 1);
        self.drop_unused();
        key
    }

    /// Sorts the rows, and numbers the clients in the order of the rows.
    pub(super) fn sort(&mut self) {
        self.number_clients();
        let Self { rows, texts, clients, .. } = self;
        order::sort(rows, texts);
        clients.renumber(rows.iter_mut().map(|row| &mut row.client));
    }

    /// The key of the last row. The buffer must be sorted.
    pub(super) fn last(&self) -> Option<SortKey> {
        self.key(self.rows.len().checked_sub(1)?)
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.numbered = 0;
        self.texts = Vec::new();
        self.clients = Clients::for_rows(self.rows.capacity(), self.hasher.clone());
    }

    /// The sort key of a row. None if there is no such row.
    fn key(&self, index: usize) -> Option<SortKey> {
        let row = self.rows.get(index)?;
        let handle = match row.view(&self.texts)? {
            None => None,
            Some(view) => Some(view.handle()?),
        };
        Some(SortKey { handle, at: row.at })
    }

    fn drop_unused(&mut self) {
        let mut texts = Vec::with_capacity(self.texts.len() / 2);
        for row in &mut self.rows {
            if let Some(range) = row.email() {
                row.handle = row::put_email(&mut texts, &self.texts[range]);
            }
        }
        self.texts = texts;
        self.clients.renumber(self.rows.iter_mut().map(|row| &mut row.client));
        self.clients.drop_unused();
    }
}

//! Rows that wait in memory to be sorted and written.

use std::cmp::Ordering;

use super::{
    clients::{Clients, Hashed},
    digest::RowHasher,
    order,
    outcome::Outcome,
    row::{self, Row, TEXT_BYTES_PER_ROW},
};
use crate::{
    handle::Handle,
    query_log::frames::row_view::{Event, HandleView, RowView},
};

/// Where a row stands in the order of a sealed segment. No two rows have the same place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortKey {
    handle: Option<Handle>,
    at: u32,
}

impl SortKey {
    /// How a row with this handle and instant stands to it.
    pub(super) fn compare(&self, handle: Option<HandleView<'_>>, at: u32) -> Ordering {
        handle.cmp(&self.handle.as_ref().map(HandleView::from)).then(at.cmp(&self.at))
    }
}

/// Clients that are looked up together: one look-up waits for memory several times, many at once wait for each other's.
const CLIENTS_AT_ONCE: usize = if cfg!(test) { 5 } else { 256 };

/// Rows, as many as the budget allows.
#[derive(Debug)]
pub(super) struct SortBuffer {
    pub(super) rows: Vec<Row>,
    pub(super) texts: Vec<u8>,
    pub(super) clients: Clients,
    /// Clients of the last rows, which have their places here instead of numbers.
    newest: Vec<Hashed>,
    /// Rows whose clients have numbers.
    numbered: usize,
    rows_max: usize,
    hasher: RowHasher,
}

impl SortBuffer {
    /// `hasher` is the one of the clients that will come.
    pub(super) fn new(rows_max: usize, expected: u64, hasher: RowHasher) -> Self {
        // Places among the texts have 32 bits.
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

    /// Takes a row of `client`, `at` microseconds into the hour.
    pub(super) fn push(&mut self, at: u32, row: &RowView<'_>, client: &Hashed) {
        let (id, took_us) = match row.event {
            Event::Lookup { request, took_us, .. } => (request.count(), took_us),
            Event::Change { id, .. } => (id.bits(), 0),
        };
        let handle = match row.handle {
            None => 0,
            Some(HandleView::Phone(key)) => key.bits(),
            Some(HandleView::Email(text)) => row::put_email(&mut self.texts, text.as_bytes()),
        };
        // Rows of a batch come one after another.
        if self.newest.last().is_none_or(|last| !last.is(client)) {
            if self.newest.len() == CLIENTS_AT_ONCE {
                self.number_clients();
            }
            self.newest.push(*client);
        }
        // A few hundred.
        let client = self.newest.len() as u32 - 1;
        let outcome = Outcome::of(row.event).bits();
        self.rows.push(Row { handle, id, at, client, took_us, outcome });
    }

    /// Gives the newest clients their numbers.
    fn number_clients(&mut self) {
        let Self { rows, clients, newest, numbered, .. } = self;
        let numbers = clients.intern_all(newest);
        newest.clear();
        for row in &mut rows[*numbered..] {
            row.client = numbers[row.client as usize];
        }
        *numbered = rows.len();
    }

    /// Drops the rows behind the first `keep` (of at least two, at least one and not all) and says where they end.
    pub(super) fn cut(&mut self, keep: usize) -> Option<SortKey> {
        let keep = keep.clamp(1, self.rows.len().checked_sub(1)?);
        self.number_clients();
        let Self { rows, texts, .. } = self;
        rows.select_nth_unstable_by(keep - 1, |a, b| a.compare(b, texts));
        rows.truncate(keep);
        self.numbered = keep;
        let place = self.place(keep - 1);
        self.drop_unused();
        place
    }

    /// Brings the rows into their order and the clients into the order of the rows.
    pub(super) fn sort(&mut self) {
        self.number_clients();
        let Self { rows, texts, clients, .. } = self;
        order::sort(rows, texts);
        clients.renumber(rows.iter_mut().map(|row| &mut row.client));
    }

    /// Where the last row stands, once sorted.
    pub(super) fn last(&self) -> Option<SortKey> {
        self.place(self.rows.len().checked_sub(1)?)
    }

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.numbered = 0;
        self.texts = Vec::new();
        self.clients = Clients::for_rows(self.rows.capacity(), self.hasher.clone());
    }

    /// None only for a text that is no address, and texts come from addresses.
    fn place(&self, index: usize) -> Option<SortKey> {
        let row = self.rows.get(index)?;
        let handle = if let Some(range) = row.email() {
            Some(Handle::from_canonical(std::str::from_utf8(&self.texts[range]).ok()?)?)
        } else if let Some(bits) = row.phone() {
            Some(Handle::Phone(crate::handle::PhoneKey::from_bits(bits)?))
        } else {
            None
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
        self.clients.keep_named();
    }
}

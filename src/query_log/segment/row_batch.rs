//! Rows that were read, in compact form: 32 bytes each, and each client once, where a [`LogRow`] takes over a hundred bytes.
//! A batch builds a [`LogRow`] only when the caller takes it.

use std::{io, net::Ipv6Addr};

use super::{
    client::PackedClient,
    client_table,
    footer::Sealed,
    row::{self, Row, TEXT_BYTES_PER_ROW},
};
use crate::{
    clock::{Hour, Timestamp},
    handle::Handle,
    query_log::{
        filter::Order,
        record::{HandleView, LogRow, Outcome},
    },
};

/// Rows of one segment. A reader pushes rows, then resolves their clients; the caller takes rows from the front.
#[derive(Debug)]
pub(crate) struct RowBatch {
    hour: Hour,
    pub(super) rows: Vec<Row>,
    texts: Vec<u8>,
    /// The clients of resolved rows. An unresolved row names its client by the number in the row group's table.
    clients: Vec<PackedClient>,
    addresses: Vec<Ipv6Addr>,
    /// Rows whose clients are resolved.
    resolved: usize,
    taken: usize,
}

impl RowBatch {
    /// Reserves capacity for `rows` rows: a list that grows holds its rows twice for a moment.
    pub(super) fn with_capacity(hour: Hour, rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), ..Self::new(hour) }
    }

    pub(super) const fn new(hour: Hour) -> Self {
        Self {
            hour,
            rows: Vec::new(),
            texts: Vec::new(),
            clients: Vec::new(),
            addresses: Vec::new(),
            resolved: 0,
            taken: 0,
        }
    }

    /// Whether it has `rows_max` rows, or as much text as so many rows usually have.
    pub(super) fn is_full(&self, rows_max: usize) -> bool {
        self.rows.len() >= rows_max
            || self.texts.len() >= rows_max.saturating_mul(TEXT_BYTES_PER_ROW)
    }

    /// Adds a row with this handle. False if the writer does not write such a row.
    pub(super) fn push(&mut self, handle: Option<HandleView<'_>>, row: Row) -> bool {
        let is_known = Outcome::from_bits(row.outcome).is_some()
            && self.at(row.at) < self.hour.end()
            && !matches!(handle, Some(HandleView::Email(text)) if !Handle::is_canonical_address(text));
        if is_known {
            let handle = row::put_handle(&mut self.texts, handle);
            self.rows.push(Row { handle, ..row });
        }
        is_known
    }

    /// Reads the clients of the unresolved rows, which must belong to one row group. It reads them in the order of their
    /// numbers, so it decrypts each part of the table once, and keeps only these clients. It drops rows with a damaged client
    /// and returns their number.
    pub(super) fn resolve_clients(&mut self, segment: &Sealed, group: usize) -> io::Result<u64> {
        let first = self.resolved;
        let mut by_number: Vec<(u32, u32)> =
            self.rows[first..].iter().zip(0..).map(|(row, index)| (row.client, index)).collect();
        by_number.sort_unstable();
        let mut numbers: Vec<u32> = by_number.iter().map(|(number, _)| *number).collect();
        numbers.dedup();
        let table = &segment.footer.groups[group].table;
        let (mut known, mut next) = (self.clients.len() as u32, 0);
        let Self { rows, clients, addresses, .. } = self;
        client_table::read_some(&*segment.source, table, &numbers, &mut |number, client| {
            let index = client.map(|client| {
                clients.push(PackedClient::new(&client, addresses));
                known += 1;
                known - 1
            });
            while let Some((_, row)) = by_number.get(next).filter(|(of, _)| *of == number) {
                rows[first + *row as usize].client = index.unwrap_or(DAMAGED);
                next += 1;
            }
        })?;
        let before = self.rows.len();
        let mut seen = 0;
        self.rows.retain(|row| {
            seen += 1;
            seen <= first || row.client != DAMAGED
        });
        self.resolved = self.rows.len();
        Ok((before - self.resolved) as u64)
    }

    pub(super) fn sort(&mut self, order: Order) {
        match order {
            Order::Asc => self.rows.sort_unstable_by_key(|row| row.at),
            Order::Desc => self.rows.sort_unstable_by_key(|row| !row.at),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.rows.len()
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.rows.get(self.taken).map(|row| self.at(row.at))
    }

    pub(crate) fn pop(&mut self) -> Option<LogRow> {
        // `push` accepts only rows that convert, so the loop skips none.
        while let Some(row) = self.rows.get(self.taken) {
            let found = self.row(row);
            self.taken += 1;
            if self.is_empty() {
                // Free the memory at once: the next batch is as large.
                *self = Self::new(self.hour);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn at(&self, micros: u32) -> Timestamp {
        Timestamp::from_micros(self.hour.start().as_micros() + u64::from(micros))
    }

    fn row(&self, row: &Row) -> Option<LogRow> {
        let client = self.clients.get(row.client as usize)?.client(&self.addresses)?;
        row.log_row(self.at(row.at), &self.texts, client)
    }
}

/// The number of a damaged client. A batch has fewer clients than rows, and fewer rows than this.
const DAMAGED: u32 = u32::MAX;

//! Rows that were read, in little room: 32 bytes each, and their texts and clients once, where a [`LogRow`] takes over a
//! hundred. They become rows of the log one by one, when they are given out.

use std::{io, net::Ipv6Addr};

use super::{
    client::{Client, PackedClient},
    client_table,
    outcome::Outcome,
    page::Segment,
    row::{self, Row, TEXT_BYTES_PER_ROW},
};
use crate::{
    clock::{Hour, Timestamp},
    handle::{Handle, PhoneKey},
    ids::{ChangeId, RequestId},
    query_log::{
        frames::row_view::{Event, HandleView, RowView},
        record::LogRow,
        search::Order,
    },
};

/// Rows of one segment. Rows are pushed, then get their clients, and are taken from the front.
#[derive(Debug)]
pub(in crate::query_log) struct RowBatch {
    hour: Hour,
    rows: Vec<Row>,
    texts: Vec<u8>,
    /// What rows name once they have their clients; the number in the segment's table until then.
    clients: Vec<PackedClient>,
    addresses: Vec<Ipv6Addr>,
    /// Rows that have their clients.
    settled: usize,
    /// Rows that were taken.
    taken: usize,
}

/// A row that a page gives: what a batch takes.
pub(super) struct Read<'a> {
    pub(super) handle: Option<HandleView<'a>>,
    pub(super) id: u64,
    pub(super) at: u32,
    pub(super) client: u32,
    pub(super) took_us: u32,
    pub(super) outcome: u32,
}

impl RowBatch {
    /// With room for so many rows: a list that grows has its rows twice for a moment.
    pub(super) fn with_room(hour: Hour, rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), ..Self::new(hour) }
    }

    pub(super) const fn new(hour: Hour) -> Self {
        Self {
            hour,
            rows: Vec::new(),
            texts: Vec::new(),
            clients: Vec::new(),
            addresses: Vec::new(),
            settled: 0,
            taken: 0,
        }
    }

    /// Rows that were pushed and not dropped again.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has as many rows as this, or as much text as so many have.
    pub(super) fn is_full(&self, rows_max: usize) -> bool {
        self.rows.len() >= rows_max
            || self.texts.len() >= rows_max.saturating_mul(TEXT_BYTES_PER_ROW)
    }

    /// Adds a row. False if it is not one that the writer writes.
    pub(super) fn push(&mut self, read: &Read<'_>) -> bool {
        let is_in_hour = self.at(read.at) < self.hour.end();
        let Some(_) = Outcome::from_bits(read.outcome).filter(|_| is_in_hour) else {
            return false;
        };
        let handle = match read.handle {
            None => 0,
            Some(HandleView::Phone(key)) => key.bits(),
            Some(HandleView::Email(text)) if !Handle::is_canonical_address(text) => return false,
            Some(HandleView::Email(text)) => row::put_email(&mut self.texts, text.as_bytes()),
        };
        let Read { id, at, client, took_us, outcome, .. } = *read;
        self.rows.push(Row { handle, id, at, client, took_us, outcome });
        true
    }

    /// Drops the rows behind the first `rows`: a page that turns out to be damaged gives none.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// Reads the clients of the rows that have none yet, all of one row group, in the order of their numbers: each place of
    /// the table is read and decrypted once, and nothing of it is kept but what is named. Drops the rows whose client is
    /// damaged, and says how many.
    pub(super) fn settle(&mut self, segment: &Segment, group: usize) -> io::Result<u64> {
        let first = self.settled;
        let mut by_number: Vec<(u32, u32)> =
            self.rows[first..].iter().zip(0..).map(|(row, place)| (row.client, place)).collect();
        by_number.sort_unstable();
        let mut numbers: Vec<u32> = by_number.iter().map(|(number, _)| *number).collect();
        numbers.dedup();
        let table = &segment.footer.groups[group].table;
        let (mut known, mut next) = (first_client(self.clients.len()), 0);
        let Self { rows, clients, addresses, .. } = self;
        client_table::read_some(&*segment.source, table, &numbers, &mut |number, client| {
            let place = client.map(|client| {
                clients.push(PackedClient::new(&client, addresses));
                known += 1;
                known - 1
            });
            while let Some((_, row)) = by_number.get(next).filter(|(of, _)| *of == number) {
                rows[first + *row as usize].client = place.unwrap_or(DAMAGED);
                next += 1;
            }
        })?;
        let before = self.rows.len();
        let mut place = 0;
        self.rows.retain(|row| {
            place += 1;
            place <= first || row.client != DAMAGED
        });
        self.settled = self.rows.len();
        Ok((before - self.settled) as u64)
    }

    /// Brings all rows into the order of time.
    pub(super) fn sort(&mut self, order: Order) {
        match order {
            Order::Asc => self.rows.sort_unstable_by_key(|row| row.at),
            Order::Desc => self.rows.sort_unstable_by_key(|row| !row.at),
        }
    }

    /// Whether all rows were taken.
    pub(in crate::query_log) fn is_empty(&self) -> bool {
        self.taken == self.rows.len()
    }

    /// The instant of the next row.
    pub(in crate::query_log) fn next_at(&self) -> Option<Timestamp> {
        self.rows.get(self.taken).map(|row| self.at(row.at))
    }

    /// The next row.
    pub(in crate::query_log) fn pop(&mut self) -> Option<LogRow> {
        // What was pushed is a row: none is passed over here.
        while let Some(row) = self.rows.get(self.taken) {
            let found = self.row(row);
            self.taken += 1;
            if self.is_empty() {
                // Their room is given back at once: the next batch is as large.
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
        let handle = match (row.phone(), row.email()) {
            (Some(bits), _) => Some(HandleView::Phone(PhoneKey::from_bits(bits)?)),
            (None, Some(text)) => {
                Some(HandleView::Email(std::str::from_utf8(self.texts.get(text)?).ok()?))
            }
            (None, None) => None,
        };
        let Client { account, device, ip } =
            self.clients.get(row.client as usize)?.client(&self.addresses)?;
        let event = match Outcome::from_bits(row.outcome)? {
            Outcome::Lookup { route, reason, status } => {
                let (request, took_us) = (RequestId::from_count(row.id), row.took_us);
                Event::Lookup { request, route, reason, status, took_us }
            }
            Outcome::Change { change, cause } => {
                Event::Change { id: ChangeId::from_bits(row.id), change, cause }
            }
        };
        RowView { at: self.at(row.at), handle, account, device, ip, event }.row()
    }
}

/// No client has this number: there are fewer than rows of one batch.
const DAMAGED: u32 = u32::MAX;

/// The number of the next client of a batch.
fn first_client(clients: usize) -> u32 {
    u32::try_from(clients).expect("a batch has fewer clients than rows")
}

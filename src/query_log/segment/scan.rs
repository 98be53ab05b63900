//! All matching rows, in the order of storage.
//!
//! Clients are numbered in the order of their first rows, so the clients of later rows are spread over the table. A scan
//! therefore reads clients for many rows at once.

use std::io;

use super::{
    client_table::ClientSet, footer::Sealed, page::Page, part::PartError, predicate::Predicate,
    row_batch::RowBatch,
};
use crate::{
    limits,
    query_log::{filter::Filter, record::LogRow},
};

pub(crate) struct Scan {
    segment: Sealed,
    filter: Filter,
    /// The row group, and its next page.
    at: (usize, usize),
    clients: Option<ClientSet>,
    rows: RowBatch,
    damaged_rows: u64,
    over: bool,
    stop: Box<dyn Fn() -> bool + Send>,
}

impl Sealed {
    /// Every matching row in the order of storage, (handle, at).
    pub(crate) fn scan(&self, filter: &Filter) -> Scan {
        Scan {
            segment: self.clone(),
            filter: filter.clone(),
            at: (0, 0),
            clients: None,
            rows: RowBatch::new(self.hour),
            damaged_rows: 0,
            over: false,
            stop: Box::new(|| false),
        }
    }
}

impl Scan {
    /// Ends the scan as soon as `is_over` returns true, even between two rows.
    pub(crate) fn stop_when(mut self, is_over: impl Fn() -> bool + Send + 'static) -> Self {
        self.stop = Box::new(is_over);
        self
    }

    /// Unreadable rows so far that may match.
    pub(crate) const fn damaged_rows(&self) -> u64 {
        self.damaged_rows
    }

    /// Fills the batch, up to the end of the row group.
    fn read_on(&mut self) -> io::Result<()> {
        let Self { segment, filter, .. } = self;
        let (group, mut page) = self.at;
        let Some(of_group) = segment.footer.groups.get(group) else {
            self.over = true;
            return Ok(());
        };
        let predicate = Predicate::new(filter, segment.hour);
        if *filter == Filter::default() {
            let page_rows = of_group.page_rows(0);
            let rows = limits::LOG_SEALED_BATCH_ROWS.min(of_group.pages() * page_rows) + page_rows;
            self.rows = RowBatch::with_capacity(segment.hour, rows);
        }
        while page < of_group.pages() && !self.rows.is_full(limits::LOG_SEALED_BATCH_ROWS) {
            let number = page;
            page += 1;
            if !predicate.may_match(of_group, number) {
                continue;
            }
            if (self.stop)() {
                self.over = true;
                return Ok(());
            }
            if predicate.needs_clients() && self.clients.is_none() {
                self.clients = ClientSet::read(segment, group, filter, &self.stop)?;
                let Some(clients) = &self.clients else {
                    self.over = true;
                    return Ok(());
                };
                if clients.is_empty() {
                    page = of_group.pages();
                    break;
                }
            }
            let mut page = Page::new(segment, group, number);
            let selection = predicate.select(&mut page, self.clients.as_ref())?;
            self.damaged_rows += selection.damaged;
            match page.read_into(&mut self.rows, &selection.rows) {
                Ok(()) => {}
                Err(PartError::Damaged) => self.damaged_rows += selection.rows.len() as u64,
                Err(PartError::Io(error)) => return Err(error),
            }
        }
        self.damaged_rows += self.rows.resolve_clients(segment, group)?;
        self.at = (group, page);
        if page == of_group.pages() {
            (self.at, self.clients) = ((group + 1, 0), None);
        }
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = io::Result<LogRow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.pop() {
                return Some(Ok(row));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.read_on() {
                self.over = true;
                return Some(Err(error));
            }
        }
    }
}

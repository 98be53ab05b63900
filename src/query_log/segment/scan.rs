//! All rows, in the order in which they lie on disk.
//!
//! Clients are numbered as their first rows come, so those of later rows lie anywhere: they are read for many rows at once.

use std::io;

use super::{
    client_table::ClientSet,
    error::SealedError,
    page::{Page, PageFault, Segment},
    predicate::Predicate,
    row_batch::RowBatch,
};
use crate::{
    limits,
    query_log::{filter::Filter, record::LogRow},
};

/// Matching rows in the order of storage.
pub(in crate::query_log) struct Scan {
    segment: Segment,
    filter: Filter,
    /// The row group being read, and the next page of it.
    at: (usize, usize),
    /// Which clients are asked for in it, once they are known.
    clients: Option<ClientSet>,
    rows: RowBatch,
    damaged_rows: u64,
    over: bool,
    stop: Box<dyn Fn() -> bool + Send>,
}

impl Scan {
    pub(super) fn new(segment: Segment, filter: Filter) -> Self {
        Self {
            filter,
            at: (0, 0),
            clients: None,
            rows: RowBatch::new(segment.hour),
            damaged_rows: 0,
            over: false,
            stop: Box::new(|| false),
            segment,
        }
    }

    /// Ends the scan as soon as `is_over` says so, though it finds nothing.
    pub(in crate::query_log) fn stop_when(
        mut self,
        is_over: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        self.stop = Box::new(is_over);
        self
    }

    /// Rows met so far that cannot be read and may be asked for.
    pub(in crate::query_log) const fn damaged_rows(&self) -> u64 {
        self.damaged_rows
    }

    /// Reads on in the row group, until the batch is full or the group ends.
    fn read_on(&mut self) -> io::Result<()> {
        let Self { segment, filter, .. } = self;
        let (group, mut page) = self.at;
        let Some(of_group) = segment.footer.groups.get(group) else {
            self.over = true;
            return Ok(());
        };
        let plan = Predicate::new(filter, segment.hour);
        if *filter == Filter::default() {
            let page_rows = of_group.page_rows(0);
            let rows = limits::LOG_SEALED_BATCH_ROWS.min(of_group.pages() * page_rows) + page_rows;
            self.rows = RowBatch::with_room(segment.hour, rows);
        }
        while page < of_group.pages() && !self.rows.is_full(limits::LOG_SEALED_BATCH_ROWS) {
            let number = page;
            page += 1;
            if !plan.may_hold(of_group, number) {
                continue;
            }
            if (self.stop)() {
                self.over = true;
                return Ok(());
            }
            if plan.asks_for_clients() && self.clients.is_none() {
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
            let selection = plan.select(&mut page, self.clients.as_ref())?;
            self.damaged_rows += selection.damaged;
            match page.read_into(&mut self.rows, &selection.rows) {
                Ok(()) => {}
                Err(PageFault::Damaged) => self.damaged_rows += selection.rows.len() as u64,
                Err(PageFault::Io(error)) => return Err(error),
            }
        }
        self.damaged_rows += self.rows.settle(segment, group)?;
        self.at = (group, page);
        if page == of_group.pages() {
            (self.at, self.clients) = ((group + 1, 0), None);
        }
        Ok(())
    }
}

impl Iterator for Scan {
    type Item = Result<LogRow, SealedError>;

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
                return Some(Err(error.into()));
            }
        }
    }
}

//! All rows, page by page.

use std::{collections::VecDeque, io};

use super::{
    client_table::{ClientReader, ClientSet},
    error::SealedError,
    page::{Page, PageFault, Segment},
    select::Plan,
};
use crate::query_log::{filter::Filter, record::LogRow};

/// Matching rows in the order of storage.
pub(in crate::query_log) struct Scan {
    segment: Segment,
    filter: Filter,
    /// The row group being read, and the next page of it.
    at: (usize, usize),
    open: Option<OpenGroup>,
    rows: VecDeque<LogRow>,
    damaged_rows: u64,
    over: bool,
    stop: Box<dyn Fn() -> bool + Send>,
}

/// What is kept while a row group is read.
struct OpenGroup {
    clients: ClientReader,
    wanted: Option<ClientSet>,
}

impl Scan {
    pub(super) fn new(segment: Segment, filter: Filter) -> Self {
        Self {
            segment,
            filter,
            at: (0, 0),
            open: None,
            rows: VecDeque::new(),
            damaged_rows: 0,
            over: false,
            stop: Box::new(|| false),
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

    /// Reads the next page that may hold something.
    fn read_on(&mut self) -> io::Result<()> {
        let (group, page) = self.at;
        let Self { segment, filter, .. } = self;
        let Some(found) = segment.footer.groups.get(group) else {
            self.over = true;
            return Ok(());
        };
        let plan = Plan::new(filter, segment.hour);
        let Some(page) = (page..found.pages()).find(|page| plan.may_hold(found, *page)) else {
            (self.at, self.open) = ((group + 1, 0), None);
            return Ok(());
        };
        if (self.stop)() {
            self.over = true;
            return Ok(());
        }
        if self.open.is_none() {
            self.open = OpenGroup::new(segment, &plan, group, &self.stop)?;
        }
        let Some(open) = &mut self.open else {
            self.over = true;
            return Ok(());
        };
        if open.wanted.as_ref().is_some_and(ClientSet::is_empty) {
            (self.at, self.open) = ((group + 1, 0), None);
            return Ok(());
        }
        self.at = (group, page + 1);
        let mut page = Page::new(segment, group, page);
        self.damaged_rows += read_page(&plan, &mut page, open, &mut self.rows)?;
        Ok(())
    }
}

impl OpenGroup {
    /// None if it was asked to stop.
    fn new(
        segment: &Segment,
        plan: &Plan<'_>,
        group: usize,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let mut wanted = None;
        if plan.asks_for_clients() {
            wanted = ClientSet::read(segment, group, plan.filter, stop)?;
            if wanted.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(Self { clients: segment.clients(group), wanted }))
    }
}

/// Adds the matching rows of a page; how many are damaged.
fn read_page(
    plan: &Plan<'_>,
    page: &mut Page<'_>,
    open: &mut OpenGroup,
    rows: &mut VecDeque<LogRow>,
) -> io::Result<u64> {
    let selection = plan.select(page, open.wanted.as_ref())?;
    let before = rows.len();
    let built = page.build(&selection.rows, &mut open.clients, |row| rows.extend(row));
    match built {
        Ok(()) => {}
        Err(PageFault::Damaged) => rows.truncate(before),
        Err(PageFault::Io(error)) => return Err(error),
    }
    let read = rows.len() - before;
    Ok(selection.damaged + (selection.rows.len() - read) as u64)
}

impl Iterator for Scan {
    type Item = Result<LogRow, SealedError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.rows.pop_front() {
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

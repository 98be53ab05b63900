//! Reads rows in the order of time from a file that is sorted by handle.
//!
//! 1. Read the columns that the filter needs, and count the matching rows by time ([`TimeHistogram`]). If they fit into one
//!    slice, remember their indices.
//! 2. Read slice after slice of time, each in one pass through the file, and sort it.
//!
//! So the request bounds the memory, whatever the segment and the filter. A slice reads the pages that have rows of its time.

use std::{collections::HashMap, io};

use super::{
    client_table::ClientSet,
    footer::{Bounds, Sealed},
    page::Page,
    part::PartError,
    predicate::Predicate,
    row_batch::RowBatch,
    time_histogram::{Span, TimeHistogram},
};
use crate::{
    clock::Timestamp,
    query_log::filter::{Filter, Order},
};

/// Decoded pages of the first step that the second step uses again: a handle has one or two.
const PAGES_KEPT: usize = 4;

#[derive(Debug)]
pub(crate) struct TimeSlice {
    /// The rows in the order of the request. It may be empty although `more` is true: the counted rows may be damaged.
    pub(crate) rows: RowBatch,
    /// Every row up to this instant, itself included, has been read, in the order of the request. The next slice's `from`.
    pub(crate) read_to: Option<Timestamp>,
    /// Whether matching rows lie behind that.
    pub(crate) more: bool,
    /// Unreadable rows that may match. The next slice may count them again, so a caller takes the largest number.
    pub(crate) damaged_rows: u64,
    /// `stop` returned true, so rows and damage may be missing.
    pub(crate) stopped: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct SliceRequest<'a> {
    pub(crate) filter: &'a Filter,
    pub(crate) order: Order,
    /// Only rows behind this instant, in this order.
    pub(crate) from: Option<Timestamp>,
    pub(crate) rows_max: usize,
    /// Whether to stop; called between pages.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// Row group and page, and the indices of rows in it.
type PageRows = ((usize, usize), Vec<u32>);

impl Sealed {
    /// The next matching rows strictly after (`Asc`) or before (`Desc`) an instant, in that order. Damage is no error; the
    /// slice counts it.
    ///
    /// For a handle it reads the pages that hold it. Otherwise it reads all pages of the columns that the filter needs, and
    /// then the pages of the rows that it gives. The next slice of the same search takes the counts of the first step from
    /// `histogram`. Ask for many rows at once: each slice reads its pages again.
    pub(crate) fn time_slice(
        &self,
        request: &SliceRequest<'_>,
        histogram: &mut Option<TimeHistogram>,
    ) -> io::Result<TimeSlice> {
        let mut predicate = Predicate::new(request.filter, self.hour);
        if let Some(from) = request.from {
            predicate.narrow(self.hour, request.order, from);
        }
        let mut reading = Reading {
            segment: self,
            predicate,
            request: *request,
            pages: HashMap::new(),
            rows: RowBatch::new(self.hour),
            damaged_rows: 0,
            stopped: false,
        };
        let (counts, found) = match histogram.take() {
            Some(counts) => (counts, None),
            None => reading.count()?,
        };
        let mut span = Span { micros: reading.predicate.span, rows: 0, more: false };
        if let Some(found) = found {
            reading.read_found(found)?;
        } else if !reading.stopped {
            span = counts.next_span(request.order, span.micros, request.rows_max);
            reading.rows = RowBatch::with_capacity(self.hour, span.rows);
            reading.read_span(span.micros, &counts)?;
        }
        let damaged_rows = reading.damaged_rows.max(counts.damaged_rows);
        if reading.stopped {
            let (rows, read_to) = (RowBatch::new(self.hour), request.from);
            return Ok(TimeSlice { rows, read_to, more: true, damaged_rows, stopped: true });
        }
        *histogram = Some(counts);
        let mut rows = reading.rows;
        rows.sort(request.order);
        let start = self.hour.start().as_micros();
        let at = |micros| Some(Timestamp::from_micros(micros));
        let read_to = match request.order {
            Order::Asc => at((start + span.micros.1).saturating_sub(1)).max(request.from),
            Order::Desc => {
                at((start + span.micros.0).min(request.from.map_or(u64::MAX, Timestamp::as_micros)))
            }
        };
        Ok(TimeSlice { rows, read_to, more: span.more, damaged_rows, stopped: false })
    }
}

struct Reading<'a> {
    segment: &'a Sealed,
    predicate: Predicate<'a>,
    request: SliceRequest<'a>,
    pages: HashMap<(usize, usize), Page<'a>>,
    rows: RowBatch,
    damaged_rows: u64,
    stopped: bool,
}

impl<'a> Reading<'a> {
    /// Counts the matching rows. Also returns their indices if they fit into one slice.
    fn count(&mut self) -> io::Result<(TimeHistogram, Option<Vec<PageRows>>)> {
        let groups = &self.segment.footer.groups;
        let mut counts = TimeHistogram::new(groups.iter().map(|_| None).collect());
        let mut found = Some(Vec::new());
        for (group, of_group) in groups.iter().enumerate() {
            for page in 0..of_group.pages() {
                if !self.predicate.may_match(of_group, page) {
                    continue;
                }
                if self.is_stopped() || !self.load_clients(group, &mut counts)? {
                    return Ok((counts, None));
                }
                if counts.clients[group].as_ref().is_some_and(ClientSet::is_empty) {
                    break;
                }
                self.count_page((group, page), &mut counts, &mut found)?;
            }
        }
        Ok((counts, found))
    }

    /// Reads the client table of a row group, if the filter needs it. False if `stop` returned true.
    fn load_clients(&mut self, group: usize, counts: &mut TimeHistogram) -> io::Result<bool> {
        if self.predicate.needs_clients() && counts.clients[group].is_none() {
            let SliceRequest { filter, stop, .. } = self.request;
            counts.clients[group] = ClientSet::read(self.segment, group, filter, stop)?;
            self.stopped |= counts.clients[group].is_none();
        }
        Ok(!self.stopped)
    }

    fn count_page(
        &mut self,
        key: (usize, usize),
        counts: &mut TimeHistogram,
        found: &mut Option<Vec<PageRows>>,
    ) -> io::Result<()> {
        let mut page = Page::new(self.segment, key.0, key.1);
        let selection = self.predicate.select(&mut page, counts.clients[key.0].as_ref())?;
        counts.damaged_rows += selection.damaged;
        if selection.rows.is_empty() {
            return Ok(());
        }
        // `select` has decoded this column.
        let ats = page.ats().unwrap_or_default();
        selection.rows.iter().for_each(|row| counts.count(ats[*row as usize].cast_unsigned()));
        if counts.rows > self.request.rows_max as u64 {
            *found = None;
            self.pages.clear();
        }
        if let Some(found) = found {
            found.push((key, selection.rows));
            if self.pages.len() < PAGES_KEPT {
                self.pages.insert(key, page);
            }
        }
        Ok(())
    }

    fn read_found(&mut self, found: Vec<PageRows>) -> io::Result<()> {
        let (segment, mut pages) = (self.segment, std::mem::take(&mut self.pages));
        let open = |(key, rows): PageRows| {
            let page = pages.remove(&key).unwrap_or_else(|| Page::new(segment, key.0, key.1));
            Ok((key.0, page, rows))
        };
        self.read(found.into_iter().map(open))
    }

    fn read_span(&mut self, micros: Bounds<u64>, counts: &TimeHistogram) -> io::Result<()> {
        let segment = self.segment;
        let mut predicate = Predicate::new(self.request.filter, segment.hour);
        predicate.span = micros;
        let mut hidden = 0;
        let groups = segment.footer.groups.iter().enumerate();
        let pages = groups.flat_map(|(group, of_group)| {
            (0..of_group.pages()).map(move |page| (group, of_group, page))
        });
        let selected = pages.filter_map(|(group, of_group, page)| {
            let clients = counts.clients[group].as_ref();
            if clients.is_some_and(ClientSet::is_empty) || !predicate.may_match(of_group, page) {
                return None;
            }
            let mut page = Page::new(segment, group, page);
            Some(predicate.select(&mut page, clients).map(|selection| {
                hidden += selection.damaged;
                (group, page, selection.rows)
            }))
        });
        self.read(selected)?;
        self.damaged_rows += hidden;
        Ok(())
    }

    /// Reads rows of pages; each page comes with its row group.
    fn read(
        &mut self,
        pages: impl Iterator<Item = io::Result<(usize, Page<'a>, Vec<u32>)>>,
    ) -> io::Result<()> {
        let mut open = None;
        for found in pages {
            let (group, mut page, rows) = found?;
            if self.is_stopped() {
                return Ok(());
            }
            if open != Some(group) {
                self.finish_group(open.replace(group))?;
            }
            if rows.is_empty() {
                continue;
            }
            match page.read_into(&mut self.rows, &rows) {
                Ok(()) => {}
                Err(PartError::Damaged) => self.damaged_rows += rows.len() as u64,
                Err(PartError::Io(error)) => return Err(error),
            }
        }
        self.finish_group(open)
    }

    /// Resolves the clients of the rows so far: client numbers belong to one row group.
    fn finish_group(&mut self, of_group: Option<usize>) -> io::Result<()> {
        if let Some(group) = of_group {
            self.damaged_rows += self.rows.resolve_clients(self.segment, group)?;
        }
        Ok(())
    }

    fn is_stopped(&mut self) -> bool {
        self.stopped = self.stopped || (self.request.stop)();
        self.stopped
    }
}

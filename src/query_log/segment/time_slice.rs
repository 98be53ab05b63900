//! The next rows in the order of time, out of a file that is in another order.
//!
//! First the columns that the filter is about are read, and the rows that match are counted by the time at which they
//! happened ([`TimeHistogram`]); where they are few, their places are noted. Then window after window of time is read, each in one
//! go through the file, and sorted. So memory is bounded by the request, whatever the segment and the filter, and a window
//! costs a reading of the pages that have rows of its time.

use std::{collections::HashMap, io};

use super::{
    client_table::ClientSet,
    error::SealedError,
    footer::Bounds,
    page::{Page, PageFault, Segment},
    predicate::Predicate,
    row_batch::RowBatch,
    time_histogram::{Span, TimeHistogram},
};
use crate::{
    clock::Timestamp,
    query_log::{filter::Filter, search::Order},
};

/// Pages of the first step that are kept for the second: a handle has one or two.
const PAGES_KEPT: usize = 4;

/// Rows in the order of time.
#[derive(Debug)]
pub(in crate::query_log) struct TimeSlice {
    /// The rows. There may be none although there are more: damage hides those that were counted.
    pub(in crate::query_log) rows: RowBatch,
    /// Up to where (in the order asked for, itself included) every row has been read: the next window's `from`.
    pub(in crate::query_log) read_to: Option<Timestamp>,
    /// Whether matching rows lie behind that.
    pub(in crate::query_log) more: bool,
    /// Rows that were met, cannot be read and may be asked for. The next window may count them again, so whoever pages takes
    /// the largest number.
    pub(in crate::query_log) damaged_rows: u64,
    /// It was asked to stop: there may be more of everything.
    pub(in crate::query_log) stopped: bool,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(in crate::query_log) struct Wanted<'a> {
    pub(in crate::query_log) filter: &'a Filter,
    pub(in crate::query_log) order: Order,
    /// Only rows behind this instant.
    pub(in crate::query_log) from: Option<Timestamp>,
    /// Rows of a window, about.
    pub(in crate::query_log) rows_max: usize,
    /// Asked between pages.
    pub(in crate::query_log) stop: &'a dyn Fn() -> bool,
}

/// Rows of one page.
type Found = ((usize, usize), Vec<u32>);

/// See [`Sealed::window`](super::reader::Sealed::window).
pub(super) fn window(
    segment: &Segment,
    wanted: &Wanted<'_>,
    known: &mut Option<TimeHistogram>,
) -> Result<TimeSlice, SealedError> {
    let mut plan = Predicate::new(wanted.filter, segment.hour);
    if let Some(from) = wanted.from {
        plan.narrow(segment.hour, wanted.order, from);
    }
    let mut reading = Reading {
        segment,
        plan,
        wanted: *wanted,
        pages: HashMap::new(),
        rows: RowBatch::new(segment.hour),
        damaged_rows: 0,
        stopped: false,
    };
    let (survey, found) = match known.take() {
        Some(survey) => (survey, None),
        None => reading.survey()?,
    };
    let mut span = Span { micros: reading.plan.span(), rows: 0, more: false };
    if let Some(found) = found {
        reading.read_found(found)?;
    } else if !reading.stopped {
        span = survey.next_span(wanted.order, span.micros, wanted.rows_max);
        reading.rows = RowBatch::with_room(segment.hour, span.rows);
        reading.read_span(span.micros, &survey)?;
    }
    let damaged_rows = reading.damaged_rows.max(survey.damaged_rows);
    if reading.stopped {
        let rows = RowBatch::new(segment.hour);
        return Ok(TimeSlice {
            rows,
            read_to: wanted.from,
            more: true,
            damaged_rows,
            stopped: true,
        });
    }
    *known = Some(survey);
    let mut rows = reading.rows;
    rows.sort(wanted.order);
    let start = segment.hour.start().as_micros();
    let at = |micros| Some(Timestamp::from_micros(micros));
    let read_to = match wanted.order {
        Order::Asc => at((start + span.micros.1).saturating_sub(1)).max(wanted.from),
        Order::Desc => {
            at((start + span.micros.0).min(wanted.from.map_or(u64::MAX, Timestamp::as_micros)))
        }
    };
    Ok(TimeSlice { rows, read_to, more: span.more, damaged_rows, stopped: false })
}

struct Reading<'a> {
    segment: &'a Segment,
    plan: Predicate<'a>,
    wanted: Wanted<'a>,
    pages: HashMap<(usize, usize), Page<'a>>,
    rows: RowBatch,
    damaged_rows: u64,
    stopped: bool,
}

impl<'a> Reading<'a> {
    /// Counts the rows that match; and finds them, if they fit into one window.
    fn survey(&mut self) -> io::Result<(TimeHistogram, Option<Vec<Found>>)> {
        let groups = &self.segment.footer.groups;
        let mut survey = TimeHistogram::new(groups.iter().map(|_| None).collect());
        let mut found = Some(Vec::new());
        for (group, of_group) in groups.iter().enumerate() {
            for page in 0..of_group.pages() {
                if !self.plan.may_hold(of_group, page) {
                    continue;
                }
                if self.is_stopped() || !self.learn_clients(group, &mut survey)? {
                    return Ok((survey, None));
                }
                if survey.clients[group].as_ref().is_some_and(ClientSet::is_empty) {
                    break;
                }
                self.survey_page((group, page), &mut survey, &mut found)?;
            }
        }
        Ok((survey, found))
    }

    /// Reads the table of clients of a row group, once it matters. False if it was asked to stop.
    fn learn_clients(&mut self, group: usize, survey: &mut TimeHistogram) -> io::Result<bool> {
        if self.plan.asks_for_clients() && survey.clients[group].is_none() {
            let Wanted { filter, stop, .. } = self.wanted;
            survey.clients[group] = ClientSet::read(self.segment, group, filter, stop)?;
            self.stopped |= survey.clients[group].is_none();
        }
        Ok(!self.stopped)
    }

    fn survey_page(
        &mut self,
        key: (usize, usize),
        survey: &mut TimeHistogram,
        found: &mut Option<Vec<Found>>,
    ) -> io::Result<()> {
        let mut page = Page::new(self.segment, key.0, key.1);
        let selection = self.plan.select(&mut page, survey.clients[key.0].as_ref())?;
        survey.damaged_rows += selection.damaged;
        if selection.rows.is_empty() {
            return Ok(());
        }
        // Selected by it, so it is there.
        let ats = page.ats().unwrap_or_default();
        selection.rows.iter().for_each(|row| survey.count(ats[*row as usize].cast_unsigned()));
        if survey.rows > self.wanted.rows_max as u64 {
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

    /// Reads rows whose places are known.
    fn read_found(&mut self, found: Vec<Found>) -> io::Result<()> {
        let (segment, mut pages) = (self.segment, std::mem::take(&mut self.pages));
        let open = |(key, rows): Found| {
            let page = pages.remove(&key).unwrap_or_else(|| Page::new(segment, key.0, key.1));
            Ok((key.0, page, rows))
        };
        self.read(found.into_iter().map(open))
    }

    /// Reads every row of a part of the hour.
    fn read_span(&mut self, micros: Bounds<u64>, survey: &TimeHistogram) -> io::Result<()> {
        let segment = self.segment;
        let mut plan = Predicate::new(self.wanted.filter, segment.hour);
        plan.set_span(micros);
        let mut hidden = 0;
        let groups = segment.footer.groups.iter().enumerate();
        let pages = groups.flat_map(|(group, of_group)| {
            (0..of_group.pages()).map(move |page| (group, of_group, page))
        });
        let selected = pages.filter_map(|(group, of_group, page)| {
            let clients = survey.clients[group].as_ref();
            if clients.is_some_and(ClientSet::is_empty) || !plan.may_hold(of_group, page) {
                return None;
            }
            let mut page = Page::new(segment, group, page);
            Some(plan.select(&mut page, clients).map(|selection| {
                hidden += selection.damaged;
                (group, page, selection.rows)
            }))
        });
        self.read(selected)?;
        self.damaged_rows += hidden;
        Ok(())
    }

    /// Reads the rows of pages, each with its row group.
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
                self.leave(open.replace(group))?;
            }
            if rows.is_empty() {
                continue;
            }
            match page.read_into(&mut self.rows, &rows) {
                Ok(()) => {}
                Err(PageFault::Damaged) => self.damaged_rows += rows.len() as u64,
                Err(PageFault::Io(error)) => return Err(error),
            }
        }
        self.leave(open)
    }

    /// The rows of one row group have been read: clients are numbered by row group.
    fn leave(&mut self, of_group: Option<usize>) -> io::Result<()> {
        if let Some(group) = of_group {
            self.damaged_rows += self.rows.settle(self.segment, group)?;
        }
        Ok(())
    }

    fn is_stopped(&mut self) -> bool {
        self.stopped = self.stopped || (self.wanted.stop)();
        self.stopped
    }
}

//! Rows of the log in one order, streamed: memory holds a bounded piece of each file of an hour, whatever the result.
//!
//! The files of an hour (one for each start of the process) are merged by (instant, file), whatever form they have. Files
//! are not held open between pieces, and each row is checked against the retention when it is given out: a reader that
//! pauses for a week gets nothing that has expired meanwhile.
//!
//! A search over many hours has the next ones opened by threads of its own ([`ahead`]).

mod ahead;
pub(in crate::query_log) mod segment_rows;
pub(in crate::query_log) mod tail;
mod threads;
pub(in crate::query_log) mod walk;

use std::{collections::VecDeque, fmt, io, sync::Arc, time::Duration};

use crate::{
    clock::{Hour, SharedClock, Timestamp},
    envelope::Keyring,
    limits,
    query_log::{
        catalog::{Catalog, SegmentState},
        cursor::Cursor,
        filter::Filter,
        frames::segment_reader::SegmentError,
        record::LogRow,
        segment_name::SegmentId,
    },
};
use ahead::Ahead;
use segment_rows::SegmentRows;

/// In which order rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Asc,
    /// Newest first.
    Desc,
}

/// Why a segment could not be read on. The search goes on with the others.
#[derive(Debug, thiserror::Error)]
#[error("segment {segment}: {source}")]
pub struct ReadError {
    /// The segment.
    pub segment: SegmentId,
    /// What the operating system says.
    pub source: io::Error,
}

/// What a search could not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchOutcome {
    /// Damaged places that were skipped: a frame each, or what is damaged in a sealed segment.
    pub damaged: u64,
    /// Segments inside the retention of which nothing could be read.
    pub unreadable_segments: u64,
}

/// What a search reads from, shared with the other ways of reading.
#[derive(Clone, Debug)]
pub(in crate::query_log) struct Sources {
    pub(in crate::query_log) catalog: Arc<Catalog>,
    pub(in crate::query_log) keyring: Arc<Keyring>,
    pub(in crate::query_log) clock: SharedClock,
    pub(in crate::query_log) retention: Duration,
}

impl Sources {
    /// Rows at or before this instant have expired.
    pub(in crate::query_log) fn horizon(&self) -> Timestamp {
        self.clock.now().minus(self.retention)
    }
}

/// What is asked for, shared by the threads of one search.
#[derive(Debug)]
pub(in crate::query_log) struct Job {
    pub(in crate::query_log) sources: Sources,
    pub(in crate::query_log) filter: Filter,
    pub(in crate::query_log) order: Order,
    pub(in crate::query_log) after: Option<Cursor>,
    stop: StopWhen,
}

/// Asked before each piece: whether nobody waits for the rows any more.
struct StopWhen(Box<dyn Fn() -> bool + Send + Sync>);

impl fmt::Debug for StopWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopWhen(…)")
    }
}

impl Job {
    pub(in crate::query_log) fn new(
        sources: Sources,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Self {
        Self { sources, filter, order, after, stop: StopWhen(Box::new(|| false)) }
    }

    /// Says who is asked whether anybody still waits.
    pub(in crate::query_log) fn stop_when(
        &mut self,
        is_over: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.stop = StopWhen(Box::new(is_over));
    }

    /// Nobody waits for the rows any more.
    pub(in crate::query_log) fn is_over(&self) -> bool {
        (self.stop.0)()
    }

    /// No row on the near side of this instant is asked for.
    pub(in crate::query_log) fn bound(&self) -> Timestamp {
        let after = self.after.map(|after| after.at());
        match self.order {
            Order::Asc => {
                let since = self.filter.since.unwrap_or(Timestamp::EPOCH);
                since.max(after.unwrap_or(Timestamp::EPOCH)).max(self.sources.horizon())
            }
            Order::Desc => {
                let until = self.filter.until.unwrap_or(Timestamp::MAX);
                until.min(after.unwrap_or(Timestamp::MAX))
            }
        }
    }

    /// Whether a row at this place is asked for.
    pub(in crate::query_log) fn wants(&self, place: Cursor, row: &LogRow) -> bool {
        let is_past = self.after.is_none_or(|after| match self.order {
            Order::Asc => place > after,
            Order::Desc => place < after,
        });
        is_past && self.filter.matches(row)
    }

    /// The hours that may have rows, in the order of the search.
    pub(in crate::query_log) fn hours(&self) -> VecDeque<Hour> {
        let since = self.filter.since.unwrap_or(Timestamp::EPOCH).max(self.sources.horizon());
        let until = self.filter.until.unwrap_or(Timestamp::MAX);
        let wanted = |hour: &Hour| {
            let in_order = self.after.is_none_or(|after| match self.order {
                Order::Asc => *hour >= after.hour(),
                Order::Desc => *hour <= after.hour(),
            });
            hour.end() > since && hour.start() < until && in_order
        };
        let segments = self.sources.catalog.segments();
        let mut hours: Vec<Hour> =
            segments.iter().map(|segment| segment.id.hour).filter(wanted).collect();
        hours.sort_unstable();
        hours.dedup();
        if self.order == Order::Desc {
            hours.reverse();
        }
        hours.into()
    }

    /// Opens every segment of an hour and reads its first rows.
    pub(in crate::query_log) fn open_hour(&self, hour: Hour) -> OpenHour {
        let mut open = OpenHour::default();
        for segment in self.sources.catalog.of_hour(hour) {
            if segment.state() == SegmentState::Unreadable {
                open.outcome.unreadable_segments += 1;
                continue;
            }
            let entered = SegmentRows::open(&segment, self).or_else(|error| {
                // Sealed between the look at the catalog and here.
                let again = self.sources.catalog.get(segment.id);
                let again = again.filter(|_| matches!(error, SegmentError::Gone));
                again.map_or(Err(error), |segment| SegmentRows::open(&segment, self))
            });
            match entered {
                Ok(rows) => open.segments.push(rows),
                Err(error) => open.note(self, segment.id, error),
            }
        }
        open.refill(self, limits::LOG_SEARCH_ROWS_FIRST);
        open
    }
}

/// The segments of one hour, merged.
#[derive(Debug, Default)]
pub(in crate::query_log) struct OpenHour {
    segments: Vec<SegmentRows>,
    errors: VecDeque<ReadError>,
    outcome: SearchOutcome,
}

impl OpenHour {
    /// Reads on in every segment whose rows are used up.
    fn refill(&mut self, job: &Job, rows_max: usize) {
        let mut failed = Vec::new();
        for segment in &mut self.segments {
            if let Err(error) = segment.refill(job, rows_max) {
                failed.push((segment.id, error));
            }
            self.outcome.damaged += segment.take_damaged();
        }
        for (id, error) in failed {
            self.note(job, id, error);
        }
        self.segments.retain(|segment| !segment.is_used_up());
    }

    fn note(&mut self, job: &Job, segment: SegmentId, error: SegmentError) {
        match error {
            SegmentError::Gone => {}
            SegmentError::NoKey => {
                // Within an expired hour this is what expiry looks like, not a loss.
                let alive = segment.hour.end() > job.sources.horizon();
                self.outcome.unreadable_segments += u64::from(alive);
            }
            SegmentError::Unreadable => self.outcome.unreadable_segments += 1,
            SegmentError::Io(source) => self.errors.push_back(ReadError { segment, source }),
        }
    }

    /// The next row of the hour.
    fn pop(&mut self, order: Order) -> Option<(Cursor, LogRow)> {
        let fronts = self.segments.iter().enumerate();
        let fronts = fronts.filter_map(|(at, segment)| Some((segment.next_place()?, at)));
        let next = match order {
            Order::Asc => fronts.min(),
            Order::Desc => fronts.max(),
        };
        self.segments.get_mut(next?.1)?.pop()
    }
}

/// A running search.
#[derive(Debug)]
pub struct Search {
    /// Until the first row is asked for.
    unstarted: Option<Job>,
    running: Option<Running>,
    outcome: SearchOutcome,
}

#[derive(Debug)]
struct Running {
    job: Arc<Job>,
    ahead: Ahead,
    open: OpenHour,
}

impl Search {
    pub(in crate::query_log) fn new(
        sources: Sources,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Self {
        let job = Job::new(sources, filter, order, after);
        Self { unstarted: Some(job), running: None, outcome: SearchOutcome::default() }
    }

    /// Ends the search as soon as `is_over` says so, though it finds nothing: a filter that matches little reads thirty
    /// days between one row and the next. To be called before the first row is asked for.
    #[must_use]
    pub fn stop_when(mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        if let Some(job) = &mut self.unstarted {
            job.stop_when(is_over);
        }
        self
    }

    /// What could not be read so far.
    #[must_use]
    pub const fn outcome(&self) -> SearchOutcome {
        self.outcome
    }

    fn start(&mut self) {
        if let Some(job) = self.unstarted.take() {
            let hours = job.hours();
            let job = Arc::new(job);
            let ahead = Ahead::new(Arc::clone(&job), hours);
            self.running = Some(Running { job, ahead, open: OpenHour::default() });
        }
    }
}

impl Iterator for Search {
    type Item = Result<(Cursor, LogRow), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.start();
        let Running { job, ahead, open } = self.running.as_mut()?;
        loop {
            open.refill(job, limits::LOG_SEARCH_ROWS_MAX);
            let met = std::mem::take(&mut open.outcome);
            self.outcome.damaged += met.damaged;
            self.outcome.unreadable_segments += met.unreadable_segments;
            if let Some(error) = open.errors.pop_front() {
                return Some(Err(error));
            }
            match open.pop(job.order) {
                Some((_, row)) if row.at <= job.sources.horizon() => {}
                Some(found) => return Some(Ok(found)),
                None if job.is_over() => return None,
                None => *open = ahead.next_hour()?,
            }
        }
    }
}

//! Rows of the log in one order, streamed: memory holds one frame of each file of one hour, whatever the result.
//!
//! The files of an hour (one for each start of the process) are merged by (instant, file, index). Files are not held
//! open, and each row is checked against the retention when it is given out: a reader that pauses for a week gets nothing
//! that has expired meanwhile.

use std::{collections::VecDeque, fmt, io, sync::Arc, time::Duration};

use super::{
    catalog::{Catalog, SegmentState},
    cursor::Cursor,
    filter::Filter,
    record::LogRow,
    segment_name::SegmentId,
    segment_reader::{Rows, SegmentError, SegmentReader},
};
use crate::{
    clock::{Hour, SharedClock, Timestamp},
    envelope::Keyring,
};

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
    /// Damaged places that were skipped.
    pub damaged: u64,
    /// Segments inside the retention of which nothing could be read.
    pub unreadable_segments: u64,
}

/// What a search reads from, shared with the other ways of reading.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) catalog: Arc<Catalog>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clock: SharedClock,
    pub(super) retention: Duration,
}

impl Sources {
    /// Rows at or before this instant have expired.
    pub(super) fn horizon(&self) -> Timestamp {
        self.clock.now().minus(self.retention)
    }
}

/// A running search.
#[derive(Debug)]
pub struct Search {
    sources: Sources,
    filter: Filter,
    order: Order,
    after: Option<Cursor>,
    hours: VecDeque<Hour>,
    open: Vec<OpenSegment>,
    errors: VecDeque<ReadError>,
    outcome: SearchOutcome,
    stop: StopWhen,
}

/// Asked before each frame: whether nobody waits for the rows any more.
struct StopWhen(Box<dyn Fn() -> bool + Send>);

impl fmt::Debug for StopWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopWhen(…)")
    }
}

/// A segment of the hour that is being merged.
#[derive(Debug)]
struct OpenSegment {
    reader: SegmentReader,
    offset: u64,
    rows: VecDeque<(Cursor, LogRow)>,
    done: bool,
}

impl Search {
    pub(super) fn new(
        sources: Sources,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Self {
        let since = filter.since.unwrap_or(Timestamp::EPOCH).max(sources.horizon());
        let until = filter.until.unwrap_or(Timestamp::MAX);
        let wanted = |hour: &Hour| {
            let in_order = after.is_none_or(|after| match order {
                Order::Asc => *hour >= after.hour(),
                Order::Desc => *hour <= after.hour(),
            });
            hour.end() > since && hour.start() < until && in_order
        };
        let segments = sources.catalog.segments();
        let mut hours: VecDeque<Hour> =
            segments.iter().map(|segment| segment.id.hour).filter(wanted).collect();
        hours.make_contiguous().sort_unstable();
        if order == Order::Desc {
            hours.make_contiguous().reverse();
        }
        let mut last = None;
        hours.retain(|hour| last.replace(*hour) != Some(*hour));
        Self {
            sources,
            filter,
            order,
            after,
            hours,
            open: Vec::new(),
            errors: VecDeque::new(),
            outcome: SearchOutcome::default(),
            stop: StopWhen(Box::new(|| false)),
        }
    }

    /// Ends the search as soon as `is_over` says so, though it finds nothing: a filter that matches little reads thirty
    /// days between one row and the next.
    #[must_use]
    pub fn stop_when(mut self, is_over: impl Fn() -> bool + Send + 'static) -> Self {
        self.stop = StopWhen(Box::new(is_over));
        self
    }

    /// What could not be read so far.
    #[must_use]
    pub const fn outcome(&self) -> SearchOutcome {
        self.outcome
    }

    fn open_hour(&mut self, hour: Hour) {
        for segment in self.sources.catalog.of_hour(hour) {
            if segment.state() == SegmentState::Unreadable {
                self.outcome.unreadable_segments += 1;
                continue;
            }
            let bound = self.bound();
            match SegmentReader::open(&segment, &self.sources.keyring)
                .and_then(|reader| self.enter(reader, bound))
            {
                Ok(entered) => self.open.push(entered),
                Err(error) => self.note(segment.id, error),
            }
        }
    }

    /// No row on the near side of this instant is asked for.
    fn bound(&self) -> Timestamp {
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

    fn enter(
        &self,
        mut reader: SegmentReader,
        bound: Timestamp,
    ) -> Result<OpenSegment, SegmentError> {
        let (from, to) = reader.seek(bound)?;
        let offset = match self.order {
            Order::Asc => from,
            Order::Desc => to,
        };
        Ok(OpenSegment { reader, offset, rows: VecDeque::new(), done: false })
    }

    fn note(&mut self, segment: SegmentId, error: SegmentError) {
        match error {
            SegmentError::Gone => {}
            SegmentError::NoKey => {
                // Within an expired hour this is what expiry looks like, not a loss.
                let alive = segment.hour.end() > self.sources.horizon();
                self.outcome.unreadable_segments += u64::from(alive);
            }
            SegmentError::Unreadable => self.outcome.unreadable_segments += 1,
            SegmentError::Io(source) => self.errors.push_back(ReadError { segment, source }),
        }
    }

    /// Reads on in every segment whose rows are used up.
    fn refill(&mut self) {
        let Self { order, filter, after, stop, .. } = self;
        let (order, after) = (*order, *after);
        let past = |cursor: &Cursor| {
            after.is_none_or(|after| match order {
                Order::Asc => *cursor > after,
                Order::Desc => *cursor < after,
            })
        };
        let mut failed = Vec::new();
        for segment in &mut self.open {
            while segment.rows.is_empty() && !segment.done {
                if (stop.0)() {
                    segment.done = true;
                    self.hours.clear();
                    break;
                }
                match segment.read(order) {
                    Ok(Rows::Edge) => segment.done = true,
                    Ok(Rows::Damaged) => self.outcome.damaged += 1,
                    Ok(Rows::Frame(rows)) => {
                        let id = segment.reader.id;
                        let placed = rows
                            .into_iter()
                            .map(|(index, row)| (Cursor::new(id, row.at, index), row));
                        let wanted =
                            placed.filter(|(cursor, row)| past(cursor) && filter.matches(row));
                        segment.rows.extend(wanted);
                        if order == Order::Desc {
                            segment.rows.make_contiguous().reverse();
                        }
                    }
                    Err(error) => {
                        segment.done = true;
                        failed.push((segment.reader.id, error));
                    }
                }
            }
        }
        for (id, error) in failed {
            self.note(id, error);
        }
        self.open.retain(|segment| !segment.done || !segment.rows.is_empty());
    }

    /// The next row of the hour that is being merged.
    fn pop(&mut self) -> Option<(Cursor, LogRow)> {
        let order = self.order;
        let fronts = self.open.iter().enumerate();
        let fronts = fronts.filter_map(|(at, segment)| Some((segment.rows.front()?.0, at)));
        let next = match order {
            Order::Asc => fronts.min(),
            Order::Desc => fronts.max(),
        };
        self.open.get_mut(next?.1)?.rows.pop_front()
    }
}

impl OpenSegment {
    fn read(&mut self, order: Order) -> Result<Rows, SegmentError> {
        match order {
            Order::Asc => self.reader.after(&mut self.offset),
            Order::Desc => self.reader.before(&mut self.offset),
        }
    }
}

impl Iterator for Search {
    type Item = Result<(Cursor, LogRow), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.refill();
            if let Some(error) = self.errors.pop_front() {
                return Some(Err(error));
            }
            match self.pop() {
                Some((_, row)) if row.at <= self.sources.horizon() => {}
                Some(found) => return Some(Ok(found)),
                None => {
                    let hour = self.hours.pop_front()?;
                    self.open_hour(hour);
                }
            }
        }
    }
}

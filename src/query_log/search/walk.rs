//! Every matching row in the order of storage: hour by hour, and within a sealed segment by handle and time.
//!
//! This is for callers that want all rows and no order of time, such as an export. A walk reads a sealed segment once from
//! front to back, while a search must collect each slice of time from all its pages. Memory holds one batch of one segment.

use std::{collections::VecDeque, sync::Arc};

use super::{
    job::{Job, ReadError, SearchOutcome, Sources},
    segment_rows::SegmentRows,
};
use crate::{
    limits,
    query_log::{
        catalog::{Form, Segment, SegmentState},
        cursor::Cursor,
        filter::{Filter, Order},
        record::LogRow,
        sealer::sealed_file,
        segment::Scan,
        segment_error::SegmentError,
        segment_name::SegmentId,
    },
};

/// A running walk.
pub struct Walk {
    job: Arc<Job>,
    /// The segments that may have matching rows, oldest first. None until the caller asks for the first row. Segments that
    /// are created later are not visited, so that a walk ends.
    segments: Option<VecDeque<SegmentId>>,
    open: Option<(SegmentId, OpenSegment)>,
    outcome: SearchOutcome,
}

enum OpenSegment {
    Frames(Box<SegmentRows>),
    Sealed(Box<Scan>),
}

impl Walk {
    pub(crate) fn new(sources: Sources, filter: Filter) -> Self {
        let job = Arc::new(Job::new(sources, filter, Order::Asc, None));
        Self { job, segments: None, open: None, outcome: SearchOutcome::default() }
    }

    /// Ends the walk as soon as `is_over` returns true, even between two rows. Call this before asking for the first row.
    #[must_use]
    pub fn stop_when(mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Job::stop_when(&mut self.job, is_over);
        self
    }

    /// What the walk could not read so far.
    pub const fn outcome(&self) -> SearchOutcome {
        self.outcome
    }

    fn open_next(&mut self) -> Option<Result<(), ReadError>> {
        let Self { job, segments, .. } = self;
        let segments = segments.get_or_insert_with(|| {
            let (hours, all) = (job.hours(), job.sources.catalog.segments());
            let wanted = all.iter().filter(|segment| hours.contains(&segment.id.hour));
            wanted.map(|segment| segment.id).collect()
        });
        let id = segments.pop_front()?;
        let segment = self.job.sources.catalog.get(id).ok_or(SegmentError::Gone);
        match segment.and_then(|segment| self.open(&segment)) {
            Ok(open) => self.open = Some((id, open)),
            Err(error) => return Some(self.fail(id, error)),
        }
        Some(Ok(()))
    }

    fn open(&self, segment: &Segment) -> Result<OpenSegment, SegmentError> {
        if segment.state() == SegmentState::Unreadable {
            return Err(SegmentError::Unreadable);
        }
        if segment.form == Form::Frames {
            return Ok(OpenSegment::Frames(Box::new(SegmentRows::open(segment, &self.job)?)));
        }
        let sealed = sealed_file::open(segment, &self.job.sources.keyring)?;
        let job = Arc::clone(&self.job);
        let scan = sealed.scan(&self.job.filter).stop_when(move || job.is_over());
        Ok(OpenSegment::Sealed(Box::new(scan)))
    }

    fn fail(&mut self, segment: SegmentId, error: SegmentError) -> Result<(), ReadError> {
        let is_lost = self.job.sources.is_lost(segment, error)?;
        self.outcome.unreadable_segments += u64::from(is_lost);
        Ok(())
    }

    /// The next row of the open segment; none at its end.
    fn next_row(&mut self) -> Option<Result<(Cursor, LogRow), ReadError>> {
        let (id, open) = self.open.as_mut()?;
        let id = *id;
        let failed = match open {
            OpenSegment::Frames(rows) => {
                let refilled = rows.refill(&self.job, limits::LOG_SEARCH_ROWS_MAX);
                self.outcome.damaged += std::mem::take(&mut rows.damaged);
                match (refilled, rows.pop()) {
                    (_, Some(row)) => return Some(Ok(row)),
                    (refilled, None) => refilled.err(),
                }
            }
            OpenSegment::Sealed(scan) => match scan.next() {
                Some(Ok(row)) => return Some(Ok((Cursor::new(id, row.at), row))),
                Some(Err(error)) => Some(error.into()),
                None => {
                    self.outcome.damaged += u64::from(scan.damaged_rows() > 0);
                    None
                }
            },
        };
        self.open = None;
        self.fail(id, failed?).err().map(Err)
    }
}

impl Iterator for Walk {
    type Item = Result<(Cursor, LogRow), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.job.is_over() {
            match self.next_row() {
                Some(Ok((cursor, row)))
                    if row.at <= self.job.sources.horizon(cursor.hour().era()) => {}
                Some(found) => return Some(found),
                None => {
                    if let Err(error) = self.open_next()? {
                        return Some(Err(error));
                    }
                }
            }
        }
        None
    }
}

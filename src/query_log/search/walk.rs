//! Every matching row, in the order in which it lies on disk: hour by hour, and within a sealed segment by handle and time.
//!
//! For who wants all rows and no order of time, an export say: a sealed segment is read once from front to back, while a
//! search must find each piece of its time among all its handles. Memory holds a page of one segment.

use std::{collections::VecDeque, sync::Arc};

use super::{
    segment_rows::SegmentRows,
    {Job, Order, ReadError, SearchOutcome, Sources},
};
use crate::{
    limits,
    query_log::{
        catalog::{Form, Segment, SegmentState},
        cursor::Cursor,
        filter::Filter,
        frames::segment_reader::SegmentError,
        record::LogRow,
        sealer::sealed_file,
        segment::Scan,
        segment_name::SegmentId,
    },
};
/// A running walk.
#[derive(Debug)]
pub struct Walk {
    job: Arc<Job>,
    segments: Option<VecDeque<SegmentId>>,
    open: Option<(SegmentId, Open)>,
    outcome: SearchOutcome,
}

enum Open {
    Frames(Box<SegmentRows>),
    Sealed(Box<Scan>),
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Frames(_) => "Frames",
            Self::Sealed(_) => "Sealed",
        })
    }
}

impl Walk {
    pub(in crate::query_log) fn new(sources: Sources, filter: Filter) -> Self {
        let job = Arc::new(Job::new(sources, filter, Order::Asc, None));
        Self { job, segments: None, open: None, outcome: SearchOutcome::default() }
    }

    /// Ends the walk as soon as `is_over` says so, though it finds nothing. To be called before the first row is asked for.
    #[must_use]
    pub fn stop_when(mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        if let Some(job) = Arc::get_mut(&mut self.job) {
            job.stop_when(is_over);
        }
        self
    }

    /// What could not be read so far.
    #[must_use]
    pub const fn outcome(&self) -> SearchOutcome {
        self.outcome
    }

    /// The segments that may have rows, oldest first. Those that come later are not visited: a walk has an end.
    fn begin(&mut self) {
        if self.segments.is_none() {
            let hours = self.job.hours();
            let segments = self.job.sources.catalog.segments();
            let wanted = segments.iter().filter(|segment| hours.contains(&segment.id.hour));
            self.segments = Some(wanted.map(|segment| segment.id).collect());
        }
    }

    fn open_next(&mut self) -> Option<Result<(), ReadError>> {
        let id = self.segments.as_mut()?.pop_front()?;
        // One that is gone has expired, unless it was sealed between the two looks.
        for _ in 0..2 {
            let Some(segment) = self.job.sources.catalog.get(id) else {
                return Some(Ok(()));
            };
            match self.enter(&segment) {
                Ok(open) => {
                    self.open = Some((id, open));
                    return Some(Ok(()));
                }
                Err(SegmentError::Gone) => {}
                Err(error) => return Some(self.note(id, error)),
            }
        }
        Some(Ok(()))
    }

    fn enter(&self, segment: &Segment) -> Result<Open, SegmentError> {
        if segment.state() == SegmentState::Unreadable {
            return Err(SegmentError::Unreadable);
        }
        Ok(match segment.form {
            Form::Frames => Open::Frames(Box::new(SegmentRows::open(segment, &self.job)?)),
            Form::Sealed => {
                let sealed = sealed_file::open(segment, &self.job.sources.keyring)?;
                let job = Arc::clone(&self.job);
                Open::Sealed(Box::new(
                    sealed.scan(&self.job.filter).stop_when(move || job.is_over()),
                ))
            }
        })
    }

    fn note(&mut self, segment: SegmentId, error: SegmentError) -> Result<(), ReadError> {
        match error {
            SegmentError::Gone => {}
            SegmentError::NoKey => {
                let alive = segment.hour.end() > self.job.sources.horizon();
                self.outcome.unreadable_segments += u64::from(alive);
            }
            SegmentError::Unreadable => self.outcome.unreadable_segments += 1,
            SegmentError::Io(source) => return Err(ReadError { segment, source }),
        }
        Ok(())
    }

    /// The next row of the segment that is open; none at its end.
    fn step(&mut self) -> Option<Result<LogRow, ReadError>> {
        let (id, open) = self.open.as_mut()?;
        let id = *id;
        let failed = match open {
            Open::Frames(rows) => {
                let refilled = rows.refill(&self.job, limits::LOG_SEARCH_ROWS_MAX);
                self.outcome.damaged += rows.take_damaged();
                match (refilled, rows.pop()) {
                    (_, Some((_, row))) => return Some(Ok(row)),
                    (Ok(()), None) => None,
                    (Err(error), None) => Some(error),
                }
            }
            Open::Sealed(scan) => match scan.next() {
                Some(Ok(row)) => return Some(Ok(row)),
                Some(Err(error)) => Some(error.into()),
                None => {
                    self.outcome.damaged += u64::from(scan.damaged_rows() > 0);
                    None
                }
            },
        };
        self.open = None;
        self.note(id, failed?).err().map(Err)
    }
}

impl Iterator for Walk {
    type Item = Result<(Cursor, LogRow), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.begin();
        loop {
            if self.job.is_over() {
                return None;
            }
            let id = self.open.as_ref().map(|(id, _)| *id);
            match (self.step(), id) {
                (Some(Ok(row)), _) if row.at <= self.job.sources.horizon() => {}
                (Some(Ok(row)), Some(id)) => return Some(Ok((Cursor::new(id, row.at), row))),
                (Some(Err(error)), _) => return Some(Err(error)),
                (Some(Ok(_)), None) | (None, _) => {
                    if let Err(error) = self.open_next()? {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

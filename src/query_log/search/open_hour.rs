//! The segments of one hour, merged.

use std::collections::VecDeque;

use super::{
    job::{Job, ReadError, SearchOutcome},
    segment_rows::SegmentRows,
};
use crate::{
    clock::Hour,
    limits,
    query_log::{
        catalog::SegmentState, cursor::Cursor, filter::Order, record::LogRow,
        segment_error::SegmentError, segment_name::SegmentId,
    },
};

#[derive(Default)]
pub(super) struct OpenHour {
    segments: Vec<SegmentRows>,
    pub(super) errors: VecDeque<ReadError>,
    /// What could not be read since the caller last took it.
    pub(super) outcome: SearchOutcome,
}

impl OpenHour {
    /// Opens every segment of an hour and reads its first rows.
    pub(super) fn open(job: &Job, hour: Hour) -> Self {
        let mut open = Self::default();
        for segment in job.sources.catalog.of_hour(hour) {
            if segment.state() == SegmentState::Unreadable {
                open.outcome.unreadable_segments += 1;
                continue;
            }
            match SegmentRows::open(&segment, job) {
                Ok(rows) => open.segments.push(rows),
                Err(error) => open.fail(job, segment.id, error),
            }
        }
        open.refill(job, limits::LOG_SEARCH_ROWS_FIRST);
        open
    }

    /// Reads on in every segment that has no row left in memory.
    pub(super) fn refill(&mut self, job: &Job, rows_max: usize) {
        let mut failed = Vec::new();
        for segment in &mut self.segments {
            if let Err(error) = segment.refill(job, rows_max) {
                failed.push((segment.id, error));
            }
            self.outcome.damaged += std::mem::take(&mut segment.damaged);
        }
        for (id, error) in failed {
            self.fail(job, id, error);
        }
        self.segments.retain(|segment| !segment.is_used_up());
    }

    fn fail(&mut self, job: &Job, segment: SegmentId, error: SegmentError) {
        match job.sources.is_lost(segment, error) {
            Ok(is_lost) => self.outcome.unreadable_segments += u64::from(is_lost),
            Err(error) => self.errors.push_back(error),
        }
    }

    pub(super) fn pop(&mut self, order: Order) -> Option<(Cursor, LogRow)> {
        let fronts = self.segments.iter().enumerate();
        let fronts = fronts.filter_map(|(index, segment)| Some((segment.next_cursor()?, index)));
        let next = match order {
            Order::Asc => fronts.min(),
            Order::Desc => fronts.max(),
        };
        self.segments.get_mut(next?.1)?.pop()
    }
}

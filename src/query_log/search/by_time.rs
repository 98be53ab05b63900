//! Rows in the order of time.

use std::{mem, sync::Arc};

use super::{
    job::{Job, ReadError, SearchOutcome},
    open_hour::OpenHour,
    prefetch::Prefetch,
};
use crate::{
    limits,
    query_log::{cursor::Cursor, record::LogRow},
};

/// A running search: gives matching rows in the order of time, and era by era if trusted time jumped.
pub struct Search {
    job: Arc<Job>,
    /// Rows of a segment that it sorts at once.
    rows_max: usize,
    opens_ahead: bool,
    /// None until the caller asks for the first row.
    running: Option<(Prefetch, OpenHour)>,
    outcome: SearchOutcome,
}

impl Search {
    pub(crate) fn new(job: Job) -> Self {
        let (running, outcome) = (None, SearchOutcome::default());
        let rows_max = limits::LOG_SEARCH_ROWS_MAX;
        Self { job: Arc::new(job), rows_max, opens_ahead: true, running, outcome }
    }

    /// Ends the search as soon as `is_over` returns true, even between two rows: with a filter that matches little the search
    /// may read thirty days in between. Call this before asking for the first row.
    #[must_use]
    pub fn stop_when(mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Job::stop_when(&mut self.job, is_over);
        self
    }

    /// Opens each hour when the search reaches it, and sorts fewer rows at once ([`limits::LOG_SEARCH_ROWS_SPARING`]). For a caller that
    /// holds the rows of other logs, too. Call this before asking for the first row.
    #[must_use]
    pub fn spare_memory(self) -> Self {
        Self { rows_max: limits::LOG_SEARCH_ROWS_SPARING, opens_ahead: false, ..self }
    }

    /// What the search could not read so far.
    pub const fn outcome(&self) -> SearchOutcome {
        self.outcome
    }
}

impl Iterator for Search {
    type Item = Result<(Cursor, LogRow), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self { job, rows_max, opens_ahead, running, outcome } = self;
        let (prefetch, open) = running.get_or_insert_with(|| {
            let prefetch = Prefetch::new(Arc::clone(job), job.hours(), *opens_ahead);
            (prefetch, OpenHour::default())
        });
        loop {
            open.refill(job, *rows_max);
            *outcome += mem::take(&mut open.outcome);
            if let Some(error) = open.errors.pop_front() {
                return Some(Err(error));
            }
            match open.pop(job.order) {
                Some((cursor, row)) if row.at <= job.sources.horizon(cursor.hour().era()) => {}
                Some(found) => return Some(Ok(found)),
                None if job.is_over() => return None,
                None => *open = prefetch.next_hour()?,
            }
        }
    }
}

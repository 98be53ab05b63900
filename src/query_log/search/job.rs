//! What every reader of the log reads from, what a search asks for, and what it could not read.

use std::{collections::VecDeque, io, ops::AddAssign, sync::Arc, time::Duration};

use crate::{
    clock::{Era, Hour, SharedClock, Timestamp},
    envelope::Keyring,
    limits,
    query_log::{
        catalog::Catalog,
        cursor::Cursor,
        filter::{Filter, Order},
        record::LogRow,
        segment_error::SegmentError,
        segment_name::SegmentId,
    },
};

#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: SharedClock,
    pub(crate) retention: Duration,
}

impl Sources {
    /// Rows of an era at or before this instant have expired.
    pub(crate) fn horizon(&self, era: Era) -> Timestamp {
        self.clock.latest().minus(self.retention).moved(-self.clock.shift_us(era))
    }

    /// When the oldest possible row of an hour has expired.
    pub(crate) fn expiry(&self, hour: Hour) -> Timestamp {
        self.clock.expiry(hour, self.retention)
    }

    /// Whether retention may have destroyed the key of an hour. Since then trusted time may have gone back, or a correction may
    /// have made the hour younger.
    pub(crate) fn may_be_destroyed(&self, hour: Hour) -> bool {
        let expiry = self.expiry(hour).min(hour.start().plus(self.retention));
        let reached = self.clock.reached(hour.era()).max(self.clock.latest());
        expiry <= reached.plus(limits::CLOCK_AGREEMENT)
    }

    /// Whether a segment that cannot be read counts as lost. An expired one does not; an I/O error is the caller's to report.
    pub(crate) fn is_lost(&self, id: SegmentId, error: SegmentError) -> Result<bool, ReadError> {
        match error {
            SegmentError::Gone => Ok(false),
            SegmentError::NoKey => Ok(!self.may_be_destroyed(id.hour)),
            SegmentError::Unreadable => Ok(true),
            SegmentError::Io(source) => Err(ReadError { segment: id, source }),
        }
    }
}

/// An I/O error in a segment. The search continues with the other segments.
#[derive(Debug, thiserror::Error)]
#[error("segment {segment}: {source}")]
pub struct ReadError {
    /// The segment.
    pub segment: SegmentId,
    /// The error of the operating system.
    pub source: io::Error,
}

/// What a search could not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchOutcome {
    /// Damaged places that the search skipped: each damaged frame, or 1 for each damaged sealed segment.
    pub damaged: u64,
    /// Unexpired segments of which the search could read nothing.
    pub unreadable_segments: u64,
}

impl AddAssign for SearchOutcome {
    /// Of two logs, or of two parts of a log.
    fn add_assign(&mut self, other: Self) {
        self.damaged += other.damaged;
        self.unreadable_segments += other.unreadable_segments;
    }
}

impl SearchOutcome {
    /// Of two searches in one log: both meet what is damaged there.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            damaged: self.damaged.max(other.damaged),
            unreadable_segments: self.unreadable_segments.max(other.unreadable_segments),
        }
    }
}

/// What a search asks for, shared by its threads.
pub(crate) struct Job {
    pub(super) sources: Sources,
    pub(super) filter: Filter,
    pub(super) order: Order,
    /// The search gives only rows behind this one, in its order.
    pub(super) after: Option<Cursor>,
    is_over: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Job {
    pub(crate) fn new(
        sources: Sources,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Self {
        Self { sources, filter, order, after, is_over: Box::new(|| false) }
    }

    /// Sets the function that says whether the caller has gone. Readers call it before each piece. Call this before asking
    /// for the first row: from then on threads share the job.
    pub(super) fn stop_when(
        job: &mut Arc<Self>,
        is_over: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        if let Some(job) = Arc::get_mut(job) {
            job.is_over = Box::new(is_over);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        (self.is_over)()
    }

    /// Where to begin in the segments of an hour.
    pub(super) fn start(&self, hour: Hour) -> Timestamp {
        let after = self.after.filter(|after| after.hour() == hour).map(|after| after.at());
        match self.order {
            Order::Asc => self.since(hour.era()).max(after.unwrap_or(Timestamp::EPOCH)),
            Order::Desc => self.until().min(after.unwrap_or(Timestamp::MAX)),
        }
    }

    fn since(&self, era: Era) -> Timestamp {
        self.filter.since.unwrap_or(Timestamp::EPOCH).max(self.sources.horizon(era))
    }

    fn until(&self) -> Timestamp {
        self.filter.until.unwrap_or(Timestamp::MAX)
    }

    pub(super) fn wants(&self, cursor: Cursor, row: &LogRow) -> bool {
        let is_behind = self.after.is_none_or(|after| match self.order {
            Order::Asc => cursor > after,
            Order::Desc => cursor < after,
        });
        is_behind && self.filter.matches(row)
    }

    /// The hours that may have matching rows, in the order of the search.
    pub(super) fn hours(&self) -> VecDeque<Hour> {
        let until = self.until();
        let wanted = |hour: &Hour| {
            let is_behind = self.after.is_none_or(|after| match self.order {
                Order::Asc => *hour >= after.hour(),
                Order::Desc => *hour <= after.hour(),
            });
            hour.end() > self.since(hour.era()) && hour.start() < until && is_behind
        };
        let segments = self.sources.catalog.segments();
        // The catalog gives segments in the order of their hours.
        let mut hours: Vec<Hour> =
            segments.iter().map(|segment| segment.id.hour).filter(wanted).collect();
        hours.dedup();
        if self.order == Order::Desc {
            hours.reverse();
        }
        hours.into()
    }
}

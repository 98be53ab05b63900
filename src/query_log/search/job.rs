//! What every reader of the log reads from, and what a search asks for.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    clock::{Hour, SharedClock, Timestamp},
    envelope::Keyring,
    query_log::{catalog::Catalog, cursor::Cursor, filter::Filter, order::Order, record::LogRow},
};

#[derive(Clone, Debug)]
pub(crate) struct Sources {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: SharedClock,
    pub(crate) retention: Duration,
}

impl Sources {
    /// Rows at or before this instant have expired.
    pub(crate) fn horizon(&self) -> Timestamp {
        self.clock.now().minus(self.retention)
    }
}

/// What a search asks for, shared by its threads.
pub(super) struct Job {
    pub(super) sources: Sources,
    pub(super) filter: Filter,
    pub(super) order: Order,
    /// The search gives only rows behind this one, in its order.
    pub(super) after: Option<Cursor>,
    is_over: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Job {
    pub(super) fn new(
        sources: Sources,
        filter: Filter,
        order: Order,
        after: Option<Cursor>,
    ) -> Self {
        Self { sources, filter, order, after, is_over: Box::new(|| false) }
    }

    /// Sets the function that says whether the caller has gone. Readers call it before each piece.
    pub(super) fn stop_when(&mut self, is_over: impl Fn() -> bool + Send + Sync + 'static) {
        self.is_over = Box::new(is_over);
    }

    /// Whether nobody waits for the rows any more.
    pub(super) fn is_over(&self) -> bool {
        (self.is_over)()
    }

    pub(super) fn start(&self) -> Timestamp {
        let after = self.after.map(|after| after.at());
        match self.order {
            Order::Asc => self.since().max(after.unwrap_or(Timestamp::EPOCH)),
            Order::Desc => self.until().min(after.unwrap_or(Timestamp::MAX)),
        }
    }

    fn since(&self) -> Timestamp {
        self.filter.since.unwrap_or(Timestamp::EPOCH).max(self.sources.horizon())
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
        let (since, until) = (self.since(), self.until());
        let wanted = |hour: &Hour| {
            let is_behind = self.after.is_none_or(|after| match self.order {
                Order::Asc => *hour >= after.hour(),
                Order::Desc => *hour <= after.hour(),
            });
            hour.end() > since && hour.start() < until && is_behind
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

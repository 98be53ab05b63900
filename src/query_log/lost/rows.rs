//! [`LostRows`]: rows of a lost node's log, hour by hour.

use std::{collections::VecDeque, sync::Arc};

use super::{
    error::LostLogError,
    fetched::FetchedHour,
    hours::{FromCopies, LostHours, Stop},
    log::LostLog,
};
use crate::{
    clock::Hour,
    query_log::{
        cursor::Cursor,
        filter::{Filter, Order},
        record::LogRow,
        search::{ReadError, Search, SearchOutcome, walk::Walk},
    },
};

/// In which order rows come.
#[derive(Clone, Copy)]
enum Reading {
    /// That of time, behind a place.
    Search(Order, Option<Cursor>),
    /// That of storage.
    Walk,
}

enum OpenHour {
    Search(Box<Search>),
    Walk(Box<Walk>),
}

/// Rows of a lost node's log.
pub struct LostRows {
    hours: LostHours,
    filter: Filter,
    reading: Reading,
    /// Those that are left.
    left: VecDeque<Hour>,
    /// Dropped in this order: the files go last.
    open: Option<(OpenHour, Arc<FetchedHour>)>,
    /// Of files that were read and are not open.
    outcome: SearchOutcome,
    stop: Stop,
}

impl OpenHour {
    fn outcome(&self) -> SearchOutcome {
        match self {
            Self::Search(search) => search.outcome(),
            Self::Walk(walk) => walk.outcome(),
        }
    }
}

impl LostLog {
    /// The rows that match `filter`, behind `after` in this order. They end early once `stop` says so.
    pub fn search(
        &self,
        filter: &Filter,
        order: Order,
        after: Option<Cursor>,
        stop: Stop,
    ) -> LostRows {
        LostRows::new(self.clone(), filter.clone(), Reading::Search(order, after), stop)
    }

    /// All rows that match `filter`, in the order of storage. They end early once `stop` says so.
    pub fn walk(&self, filter: &Filter, stop: Stop) -> LostRows {
        LostRows::new(self.clone(), filter.clone(), Reading::Walk, stop)
    }
}

impl LostRows {
    fn new(log: LostLog, filter: Filter, reading: Reading, stop: Stop) -> Self {
        let is_behind = |hour: Hour| match reading {
            Reading::Search(Order::Asc, Some(after)) => after.hour() <= hour,
            Reading::Search(Order::Desc, Some(after)) => hour <= after.hour(),
            Reading::Search(_, None) | Reading::Walk => true,
        };
        let hours = LostHours::new(log, (filter.since, filter.until), is_behind);
        let mut left: VecDeque<_> = hours.wanted.iter().copied().collect();
        if let Reading::Search(Order::Desc, _) = reading {
            left.make_contiguous().reverse();
        }
        let outcome = SearchOutcome::default();
        Self { hours, filter, reading, left, open: None, outcome, stop }
    }

    fn open_hour(&mut self, hour: Hour) -> Result<(), LostLogError> {
        let Some(fetched) = self.hours.fetch(hour, &self.stop)? else { return Ok(()) };
        let stop = Arc::clone(&self.stop);
        let open = match self.reading {
            Reading::Search(order, after) => {
                let search = fetched.reader.search(&self.filter, order, after).spare_memory();
                OpenHour::Search(Box::new(search.stop_when(move || stop())))
            }
            Reading::Walk => {
                let walk = fetched.reader.walk(&self.filter);
                OpenHour::Walk(Box::new(walk.stop_when(move || stop())))
            }
        };
        self.open = Some((open, fetched));
        Ok(())
    }

    fn next_in_hour(&mut self) -> Option<Result<(Cursor, LogRow), ReadError>> {
        match &mut self.open.as_mut()?.0 {
            OpenHour::Search(search) => search.next(),
            OpenHour::Walk(walk) => walk.next(),
        }
    }
}

impl Iterator for LostRows {
    type Item = Result<(Cursor, LogRow), LostLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.next_in_hour() {
                return Some(found.map_err(LostLogError::from));
            }
            if let Some((open, _)) = self.open.take() {
                self.outcome += open.outcome();
            }
            if (self.stop)() {
                return None;
            }
            let hour = self.left.pop_front()?;
            if let Err(error) = self.open_hour(hour) {
                self.left.clear();
                return Some(Err(error));
            }
        }
    }
}

impl FromCopies for LostRows {
    type Row = (Cursor, LogRow);

    fn outcome(&self) -> SearchOutcome {
        let mut outcome = self.hours.outcome();
        outcome += self.outcome;
        outcome += self.open.as_ref().map(|(open, _)| open.outcome()).unwrap_or_default();
        outcome
    }

    fn gaps(&self) -> Vec<String> {
        self.hours.gaps()
    }
}

//! [`LostRows`]: rows of a lost node's log, hour by hour.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use super::{error::LostLogError, fetched::FetchedHour, log::LostLog};
use crate::{
    clock::Hour,
    query_log::{
        cursor::Cursor,
        filter::{Filter, Order},
        record::LogRow,
        search::{ReadError, Search, SearchOutcome, walk::Walk},
        segment_name::SegmentId,
    },
};

/// Asked now and then whether nobody wants rows any more.
pub(super) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

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
    log: LostLog,
    filter: Filter,
    reading: Reading,
    /// Those that are left.
    hours: VecDeque<Hour>,
    /// Dropped in this order: the files go last.
    open: Option<(OpenHour, Arc<FetchedHour>)>,
    /// Of what is not open.
    outcome: SearchOutcome,
    damaged: BTreeSet<SegmentId>,
    /// Hours of which nothing is in the store, though records may be missing.
    without_copies: Vec<Hour>,
    stop: Stop,
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
        let (hours, open) = (VecDeque::new(), None);
        let (outcome, damaged) = (SearchOutcome::default(), BTreeSet::new());
        let without_copies = Vec::new();
        let mut rows =
            Self { log, filter, reading, hours, open, outcome, damaged, without_copies, stop };
        rows.choose_hours();
        rows
    }

    /// What could not be read so far.
    pub fn outcome(&self) -> SearchOutcome {
        let mut outcome = self.outcome;
        outcome += match &self.open {
            Some((OpenHour::Search(search), _)) => search.outcome(),
            Some((OpenHour::Walk(walk), _)) => walk.outcome(),
            None => SearchOutcome::default(),
        };
        outcome
    }

    /// The segments of which something could not be read so far, and hours of which nothing was copied, though they have a key.
    pub fn gaps(&self) -> Vec<String> {
        let hours = self.without_copies.iter().map(|hour| format!("{:010}", hour.number()));
        self.damaged.iter().map(ToString::to_string).chain(hours).collect()
    }

    /// The hours that may have matching rows. Of those whose key is missing nothing can be read.
    fn choose_hours(&mut self) {
        let Filter { since, until, .. } = self.filter;
        let dates = self.log.keyring.dates();
        let is_behind = |hour: Hour| match self.reading {
            Reading::Search(Order::Asc, Some(after)) => after.hour() <= hour,
            Reading::Search(Order::Desc, Some(after)) => hour <= after.hour(),
            Reading::Search(_, None) | Reading::Walk => true,
        };
        let is_wanted = |hour: Hour| {
            is_behind(hour)
                && since.is_none_or(|since| since < hour.end())
                && until.is_none_or(|until| hour.start() < until)
        };
        let without = self.log.hours_without_copies().into_iter().filter(|it| is_wanted(*it));
        self.without_copies = without.collect();
        for (hour, copies) in self.log.hours.iter().filter(|(hour, _)| is_wanted(**hour)) {
            match dates.get(hour) {
                Some(_) => self.hours.push_back(*hour),
                None if self.log.is_lost_without_key(*hour) => {
                    let segments: BTreeSet<_> = copies.iter().map(|(file, _)| file.id).collect();
                    self.outcome.unreadable_segments += segments.len() as u64;
                    self.damaged.extend(segments);
                }
                None => {}
            }
        }
        if let Reading::Search(Order::Desc, _) = self.reading {
            self.hours.make_contiguous().reverse();
        }
    }

    fn open_hour(&mut self, hour: Hour) -> Result<(), LostLogError> {
        let fetched = self.log.fetched(hour, &*self.stop)?;
        self.outcome.damaged += fetched.damaged.len() as u64;
        self.outcome.unreadable_segments += fetched.unreadable;
        self.damaged.extend(&fetched.damaged);
        let stop = Arc::clone(&self.stop);
        let open = match self.reading {
            Reading::Search(order, after) => {
                let search = fetched.reader.search(&self.filter, order, after);
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
            self.outcome = self.outcome();
            self.open = None;
            if (self.stop)() {
                return None;
            }
            let hour = self.hours.pop_front()?;
            if let Err(error) = self.open_hour(hour) {
                self.hours.clear();
                return Some(Err(error));
            }
        }
    }
}

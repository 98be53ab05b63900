//! [`LostHours`]: the hours of a question about a lost node, and what is missing of them. [`FromCopies`]: what is read from them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{error::LostLogError, fetched::FetchedHour, log::LostLog};
use crate::{
    clock::{Hour, Timestamp},
    query_log::{search::SearchOutcome, segment_name::SegmentId},
};

/// Asked now and then whether nobody wants more any more.
pub(super) type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// Rows, or what is made of them, from the copies of a lost node's log.
pub trait FromCopies: Iterator<Item = Result<Self::Row, LostLogError>> {
    /// What is given.
    type Row;

    /// What could not be read so far.
    fn outcome(&self) -> SearchOutcome;

    /// The segments of which something could not be read so far, and hours of which nothing is in the store, though they have a key.
    fn gaps(&self) -> Vec<String>;
}

/// The hours of a question.
pub(super) struct LostHours {
    log: LostLog,
    /// Those that may have rows, in the order of time.
    pub(super) wanted: Vec<Hour>,
    /// What could not be fetched, by hour.
    outcomes: BTreeMap<Hour, SearchOutcome>,
    damaged: BTreeSet<SegmentId>,
    /// Hours of which nothing is in the store, though records may be missing.
    without_copies: BTreeSet<Hour>,
}

impl LostHours {
    /// Those that may have rows from `since` on and before `until`, as far as `is_wanted` says so. Of those whose key is missing nothing can
    /// be read.
    pub(super) fn new(
        log: LostLog,
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        is_wanted: impl Fn(Hour) -> bool,
    ) -> Self {
        let is_wanted = |hour: Hour| {
            is_wanted(hour)
                && since.is_none_or(|since| since < hour.end())
                && until.is_none_or(|until| hour.start() < until)
        };
        let without_copies = log.hours_without_copies().into_iter();
        let without_copies = without_copies.filter(|hour| is_wanted(*hour)).collect();
        let dates = log.keyring.dates();
        let (mut wanted, mut outcomes, mut damaged) =
            (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for (hour, copies) in log.hours.iter().filter(|(hour, _)| is_wanted(**hour)) {
            match dates.get(hour) {
                Some(_) => wanted.push(*hour),
                None if log.is_lost_without_key(*hour) => {
                    let segments: BTreeSet<_> = copies.iter().map(|(file, _)| file.id).collect();
                    let unreadable_segments = segments.len() as u64;
                    outcomes.insert(*hour, SearchOutcome { damaged: 0, unreadable_segments });
                    damaged.extend(segments);
                }
                None => {}
            }
        }
        Self { log, wanted, outcomes, damaged, without_copies }
    }

    /// An hour on this machine. None if its key was destroyed since the question was asked.
    pub(super) fn fetch(
        &mut self,
        hour: Hour,
        stop: &Stop,
    ) -> Result<Option<Arc<FetchedHour>>, LostLogError> {
        let (log, is_destroyed) = (&self.log, || self.log.keyring.get(hour).is_none());
        if is_destroyed() && !log.is_lost_without_key(hour) {
            return Ok(None);
        }
        let fetched = log.fetched(hour, &**stop)?;
        if log.has_expired(hour) {
            // What it lacks was deleted, and without its key all of it looks damaged.
            return Ok(Some(fetched).filter(|_| !is_destroyed()));
        }
        let is_empty = fetched.reader.sources.catalog.segments().is_empty();
        if is_empty && fetched.damaged.is_empty() {
            // Its objects were listed, and are gone.
            self.without_copies.insert(hour);
        }
        let (damaged, unreadable_segments) = (fetched.damaged.len() as u64, fetched.unreadable);
        self.outcomes.insert(hour, SearchOutcome { damaged, unreadable_segments });
        for segment in &fetched.damaged {
            // Once for a question, although it may fetch an hour more than once.
            if self.damaged.insert(*segment) {
                tracing::warn!(
                    node = log.node,
                    %segment,
                    "a copy of a lost node's log is damaged, or not all of it is in the store"
                );
            }
        }
        Ok(Some(fetched))
    }

    /// What could not be fetched so far.
    pub(super) fn outcome(&self) -> SearchOutcome {
        sum(self.outcomes.values())
    }

    /// As [`FromCopies::gaps`].
    pub(super) fn gaps(&self) -> Vec<String> {
        let hours = self.without_copies.iter().map(|hour| format!("{:010}", hour.number()));
        self.damaged.iter().map(ToString::to_string).chain(hours).collect()
    }
}

/// All of these together.
pub(super) fn sum<'a>(outcomes: impl IntoIterator<Item = &'a SearchOutcome>) -> SearchOutcome {
    let mut all = SearchOutcome::default();
    outcomes.into_iter().for_each(|outcome| all += *outcome);
    all
}

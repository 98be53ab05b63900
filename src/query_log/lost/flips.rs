//! [`LostFlips`]: what a lost node has of each handle, for a count of flips.

use std::{collections::BTreeMap, vec};

use super::{
    error::LostLogError,
    hours::{FromCopies, LostHours, Stop, sum},
    log::LostLog,
};
use crate::{
    clock::Hour,
    handle::Handle,
    query_log::{
        flips::{FlipPart, FlipWindow, Kept, RangedLog, Ranges, States, Steps, Visit},
        search::SearchOutcome,
    },
};

/// The parts of a lost node's log, ascending by handle. All hours of the window are read for each range of handles. Those that are kept on
/// this machine meanwhile are fetched once.
pub struct LostFlips {
    log: VisitedHours,
    ranges: Ranges,
    /// What is left of the last range.
    parts: vec::IntoIter<Steps>,
}

struct VisitedHours {
    hours: LostHours,
    window: FlipWindow,
    /// What could not be read of fetched files, by hour.
    outcomes: BTreeMap<Hour, SearchOutcome>,
    stop: Stop,
}

impl LostLog {
    /// What the log has of each handle of a window. It keeps about as many `bytes` for handles at once, and ends early once `stop` says so.
    pub fn flip_parts(&self, window: FlipWindow, bytes: usize, stop: Stop) -> LostFlips {
        let ranges = Ranges::new(window.after.clone(), bytes);
        let hours = LostHours::new(self.clone(), (window.since, window.until), |_| true);
        let log = VisitedHours { hours, window, outcomes: BTreeMap::new(), stop };
        LostFlips { log, ranges, parts: Vec::new().into_iter() }
    }
}

impl RangedLog for VisitedHours {
    type Error = LostLogError;

    fn visit<K: Kept>(&mut self, states: &mut States<K>) -> Result<bool, LostLogError> {
        for hour in self.hours.wanted.clone() {
            let Some(fetched) = self.hours.fetch(hour, &self.stop)? else { continue };
            let stop = || (self.stop)();
            let mut visit = Visit::new(&fetched.reader.sources, &self.window, &stop);
            if !visit.visit(states)? {
                return Ok(false);
            }
            // Each range meets some of the damaged places again.
            let outcome = self.outcomes.entry(hour).or_default();
            *outcome = outcome.max(visit.read().passed_over);
        }
        Ok(true)
    }

    /// None: whichever hour has most rows would be fetched once more.
    fn milestones(&self) -> Vec<Handle> {
        Vec::new()
    }
}

impl Iterator for LostFlips {
    type Item = Result<FlipPart, LostLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(steps) = self.parts.next() {
                return Some(Ok(steps.part));
            }
            match self.ranges.next(&mut self.log) {
                Ok(range) => self.parts = range?.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl FromCopies for LostFlips {
    type Row = FlipPart;

    fn outcome(&self) -> SearchOutcome {
        let mut outcome = self.log.hours.outcome();
        outcome += sum(self.log.outcomes.values());
        outcome
    }

    fn gaps(&self) -> Vec<String> {
        self.log.hours.gaps()
    }
}

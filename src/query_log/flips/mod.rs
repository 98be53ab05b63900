//! Handles whose route went back and forth: the sore point of a directory, found without knowing which handle to ask for.
//!
//! Of each handle its answered lookups count, in the order of time. A *change* is a lookup whose route differs from that of
//! the one before it; a handle *flips* if it has at least [`FlipQuery::min`] changes. Answers that say `undiscoverable` do
//! not count: what strangers are told of a hidden handle differs from what its owner is told, and that is no change.
//!
//! The log may hold more handles than memory does, and a handle's lookups are in every segment. So the handles are gone
//! through in ascending *ranges* ([`range`]): for each range all segments are visited in the order of time ([`visit`]), of
//! sealed ones only the pages that may hold handles of the range. What is kept of a handle is small ([`state`]), and sorted
//! as the segments are, so that they are merged ([`states`]). When it becomes too much the range is cut, and what was cut
//! off is counted in the next range.

mod findings;
mod range;
mod report;
mod rules;
mod state;
mod states;
#[cfg(test)]
mod tests;
mod visit;

use std::thread;

pub use report::{
    Flip, FlipQuery, FlipReport, FlipSummary, Likely, LikelyCount, RegistryCount, RouteChange,
};

use self::{findings::Findings, states::States, visit::Visit};
use super::{
    search::{ReadError, Sources},
    segment::HandleRange,
};
use crate::{background, limits};

/// Finds them on a thread of its own, since the lowest priority is for good.
pub(super) fn flips(
    sources: &Sources,
    query: &FlipQuery,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<FlipReport, ReadError> {
    let budget = limits::LOG_FLIPS_BYTES_MAX;
    let found = thread::scope(|scope| {
        let find = || {
            background::lower_priority();
            find(sources, query, budget, stop)
        };
        let thread = thread::Builder::new().name("log-flips".into()).spawn_scoped(scope, find);
        thread.map(thread::ScopedJoinHandle::join)
    });
    match found {
        Ok(Ok(found)) => found,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // Without a thread it is done here, with this one's priority.
        Err(_) => find(sources, query, budget, stop),
    }
}

/// Finds them, with about `budget` bytes for what is kept of handles.
fn find(
    sources: &Sources,
    query: &FlipQuery,
    budget: usize,
    stop: &dyn Fn() -> bool,
) -> Result<FlipReport, ReadError> {
    let mut visit = Visit::new(sources, query, stop);
    let mut findings = Findings::new(query);
    let mut milestones = None;
    let mut range = HandleRange::default();
    loop {
        let mut states = States::new(range, budget);
        visit.all(&mut states)?;
        if visit.stopped {
            break;
        }
        let bytes = states.bytes();
        let (done, states) = states.finish();
        states.into_iter().for_each(|state| findings.add(state));
        if done.upto.is_none() {
            break;
        }
        let milestones = milestones.get_or_insert_with(|| visit.page_ends());
        range = range::next(milestones, done, bytes, budget);
    }
    Ok(findings.report(&visit))
}

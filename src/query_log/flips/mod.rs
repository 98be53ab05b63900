//! Finds handles whose route changed back and forth, without knowing which handle to ask for.
//!
//! The answered lookups of a handle count, in the order of time. A *change* is a lookup whose route differs from that of the
//! lookup before it. A handle *flips* if it has at least [`FlipQuery::min`] changes. Answers that say `undiscoverable` do
//! not count: the owner of a hidden handle gets other answers than strangers, and that is no change.
//!
//! Memory may not hold all handles of the log, and each segment may have lookups of a handle. So the search takes the
//! handles in ascending *ranges* ([`range`]). For each range it visits all segments in the order of time ([`visit`]); of a
//! sealed one it reads only the pages that may hold handles of the range. It keeps little of a handle ([`state`]), sorted
//! as the segments are, so that it can merge them ([`states`]). If that exceeds the budget, the search cuts the range, and
//! the next range begins with the handles that it cut off.

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

/// Finds them on a thread of its own, because a thread cannot raise its priority again.
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
        // The operating system gives no thread, so this one does the work, with its priority.
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

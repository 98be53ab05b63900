//! Finds handles whose route changed back and forth, without knowing which handle to ask for.
//!
//! The answered lookups of a handle count, in the order of time. A *change* is a lookup whose route differs from that of the
//! lookup before it. A handle *flips* if it has at least [`FlipQuery::min`] changes. Answers that say `undiscoverable` do
//! not count: the owner of a hidden handle gets other answers than strangers, and that is no change.
//!
//! Memory may not hold all handles of the log, and each segment may have lookups of a handle. So the search takes the
//! handles in ascending *ranges* ([`range`]). For each range it visits all segments in the order of time ([`visit`]); of a
//! sealed one it reads only the pages that may hold handles of the range. It keeps little of a handle ([`kept`]), sorted
//! as the segments are, so that it can merge them ([`states`]). If that exceeds the budget, the search cuts the range, and
//! the next range begins with the handles that it cut off.
//!
//! ```text
//! one machine    rows ──> State ──> Findings
//! a cluster      rows of each node ──> FlipPart ──> in one order (reading::gather) ──> State ──> Findings
//! ```

mod findings;
mod kept;
mod part;
mod range;
mod read;
mod report;
mod rules;
mod state;
mod states;
#[cfg(test)]
pub(crate) mod tests;
mod visit;

pub use findings::Findings;
pub use part::{FlipChange, FlipPart, FlipRun, FlipStep};
pub use read::{FlipWindow, FlipsRead};
pub use report::{
    Flip, FlipQuery, FlipReport, FlipSummary, Likely, LikelyCount, RegistryCount, RouteChange,
};

pub(super) use self::{
    kept::Kept,
    part::Steps,
    range::{RangedLog, Ranges},
    states::States,
    visit::Visit,
};

use self::state::State;
use super::search::{ReadError, Sources};
use crate::{background, limits};

/// The flips in this log, found at a low priority.
pub(super) fn flips(
    sources: &Sources,
    query: &FlipQuery,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<FlipReport, ReadError> {
    let budget = limits::LOG_FLIPS_BYTES_MAX;
    background::at_low_priority("log-flips", || find(sources, query, budget, stop))
}

/// What this log has of the handles of a window, handle by handle in ascending order. `each` says whether to go on.
pub(super) fn parts(
    sources: &Sources,
    window: &FlipWindow,
    stop: &dyn Fn() -> bool,
    each: &mut dyn FnMut(FlipPart) -> bool,
) -> Result<FlipsRead, ReadError> {
    let each = &mut |steps: Steps| each(steps.part);
    read(sources, window, limits::LOG_FLIPS_PARTS_BYTES_MAX, stop, each)
}

/// Finds them, with about `budget` bytes for what is kept of handles.
fn find(
    sources: &Sources,
    query: &FlipQuery,
    budget: usize,
    stop: &dyn Fn() -> bool,
) -> Result<FlipReport, ReadError> {
    let mut findings = Findings::new(query);
    let window = FlipWindow { since: query.since, until: query.until, after: None };
    let read = read(sources, &window, budget, stop, &mut |state: State| {
        findings.add(state);
        true
    })?;
    Ok(findings.report(&read))
}

/// Reads what is to be kept of each handle, with about `budget` bytes for it.
fn read<K: Kept>(
    sources: &Sources,
    window: &FlipWindow,
    budget: usize,
    stop: &dyn Fn() -> bool,
    each: &mut dyn FnMut(K) -> bool,
) -> Result<FlipsRead, ReadError> {
    let mut visit = Visit::new(sources, window, stop);
    let mut ranges = Ranges::new(window.after.clone(), budget);
    while let Some(states) = ranges.next(&mut visit)? {
        if !states.into_iter().all(&mut *each) {
            visit.stopped = true;
            break;
        }
    }
    Ok(visit.read())
}

//! The flipped handles with the most changes, and counts over all flipped handles.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    kept::Kept as _,
    part::FlipStep,
    read::FlipsRead,
    report::{Flip, FlipQuery, FlipReport, FlipSummary, Likely, LikelyCount, RegistryCount},
    rules,
    state::State,
};
use crate::{clock::Timestamp, handle::Handle, vocabulary::Route};

/// The flips among the handles that were seen so far.
#[derive(Debug)]
pub struct Findings {
    min: u32,
    limit: usize,
    /// By changes; of equal ones the smaller handle is greater. The least goes when there are too many.
    top: BTreeMap<(u32, Reverse<Handle>), Flip>,
    handles: u64,
    changes: u64,
    likely: BTreeMap<Likely, u64>,
}

impl Findings {
    /// None yet.
    pub fn new(query: &FlipQuery) -> Self {
        Self {
            min: query.min.max(1),
            limit: query.limit,
            top: BTreeMap::new(),
            handles: 0,
            changes: 0,
            likely: BTreeMap::new(),
        }
    }

    /// Takes a handle of which every row has been seen.
    pub(super) fn add(&mut self, state: State) {
        let Some(flip) = flip(state, self.min) else {
            return;
        };
        self.handles += 1;
        self.changes += u64::from(flip.changes);
        *self.likely.entry(flip.likely).or_default() += 1;
        self.top.insert((flip.changes, Reverse(flip.handle.clone())), flip);
        if self.top.len() > self.limit {
            self.top.pop_first();
        }
    }

    /// Takes a handle with all of its steps, in order.
    pub fn add_steps(&mut self, handle: Handle, steps: &[FlipStep]) {
        let mut state = State::new(handle);
        steps.iter().for_each(|step| state.step(step));
        self.add(state);
    }

    /// The answer. This much was read for it.
    pub fn report(self, read: &FlipsRead) -> FlipReport {
        let mut likely: Vec<_> = self.likely.into_iter().collect();
        likely.sort_by_key(|likely| Reverse(likely.1));
        let count = |(likely, handles): (Likely, u64)| {
            let because = likely.sentence().to_owned();
            LikelyCount { likely, because, handles }
        };
        FlipReport {
            flips: self.top.into_values().rev().collect(),
            summary: FlipSummary {
                since: read.since,
                until: Some(read.until).filter(|until| *until < Timestamp::MAX),
                handles: self.handles,
                changes: self.changes,
                likely: likely.into_iter().map(count).collect(),
                damaged: read.passed_over.damaged,
                unreadable_segments: read.passed_over.unreadable_segments,
                // The caller knows the other nodes, and the clocks.
                cut: 0,
                missing: Vec::new(),
                from_store: Vec::new(),
                hidden_until: None,
            },
            stopped: read.stopped,
        }
    }
}

/// None if its route did not change often enough.
fn flip(state: State, min: u32) -> Option<Flip> {
    let (handle, routes, trail) = state.into_parts()?;
    if trail.changes < min {
        return None;
    }
    let likely = rules::likely(&trail);
    let count = |((change, cause), count)| RegistryCount { change, cause, count };
    let mut registry: Vec<_> = trail.registry.into_iter().map(count).collect();
    registry.sort_by_key(|it| (Reverse(it.count), it.change.number(), it.cause.number()));
    let routes: BTreeMap<_, _> =
        Route::ALL.iter().copied().zip(routes).filter(|route| route.1 > 0).collect();
    Some(Flip {
        handle,
        changes: trail.changes,
        first_at: trail.first?.at,
        last_at: trail.latest.back()?.at,
        lookups: routes.values().map(|lookups| u64::from(*lookups)).sum(),
        routes,
        reasons: trail.reasons.into_iter().collect(),
        registry,
        latest: trail.latest.into(),
        likely,
        because: likely.sentence().to_owned(),
    })
}

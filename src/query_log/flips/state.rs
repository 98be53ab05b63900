//! What is kept of one handle.

use std::{collections::VecDeque, mem::size_of};

use super::{
    super::{record::Outcome, segment::HandleEvent},
    kept::{ALLOCATION_BYTES, Kept, text_bytes},
    part::{FlipChange, FlipRun, FlipStep},
    report::RouteChange,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    limits,
    vocabulary::{Cause, ChangeKind, Reason, Route},
};

/// How often each of a few things was met.
type Counts<K> = Vec<(K, u32)>;

pub(super) fn count<K: PartialEq>(counts: &mut Counts<K>, key: K) {
    match counts.iter_mut().find(|known| known.0 == key) {
        Some(known) => known.1 = known.1.saturating_add(1),
        None => counts.push((key, 1)),
    }
}

/// One handle: small for the many of which nothing ever changed.
#[derive(Debug)]
pub(super) struct State {
    handle: Handle,
    /// Answered lookups by route, in the order of [`Route::ALL`].
    routes: [u32; 3],
    /// The route of the last answered lookup.
    route: Option<Route>,
    trail: Option<Box<Trail>>,
}

/// What there is to say of a handle once something changed.
#[derive(Debug, Default)]
pub(super) struct Trail {
    pub(super) changes: u32,
    pub(super) first: Option<RouteChange>,
    /// The latest, oldest first.
    pub(super) latest: VecDeque<RouteChange>,
    /// Of the lookups that changed.
    pub(super) reasons: Counts<Reason>,
    pub(super) registry: Counts<(ChangeKind, Cause)>,
}

impl Kept for State {
    const WITH_IDS: bool = false;

    fn new(handle: Handle) -> Self {
        Self { handle, routes: [0; 3], route: None, trail: None }
    }

    fn handle(&self) -> &Handle {
        &self.handle
    }

    fn apply(&mut self, event: &HandleEvent) {
        match event.outcome {
            Outcome::Change { change, cause } => count(&mut self.trail().registry, (change, cause)),
            Outcome::Lookup { route: None, .. } | Outcome::Refusals { .. } => {}
            Outcome::Lookup { route: Some(to), reason, .. } => {
                self.lookups(event.at, to, reason, 1);
            }
        }
    }

    fn bytes(&self) -> usize {
        let trail = self.trail.as_ref().map_or(0, |trail| trail.bytes());
        size_of::<Self>() + text_bytes(&self.handle) + trail
    }
}

impl State {
    /// Takes the handle's next step.
    pub(super) fn step(&mut self, step: &FlipStep) {
        match *step {
            FlipStep::Change(FlipChange { change, cause, .. }) => {
                count(&mut self.trail().registry, (change, cause));
            }
            FlipStep::Run(FlipRun { first_at, route, reason, lookups, .. }) => {
                self.lookups(first_at, route, reason, lookups);
            }
        }
    }

    /// Takes so many lookups of one route, the first of which had this reason.
    fn lookups(&mut self, at: Timestamp, to: Route, reason: Reason, lookups: u32) {
        let place = Route::ALL.iter().position(|route| *route == to);
        if let Some(count) = place.and_then(|place| self.routes.get_mut(place)) {
            *count = count.saturating_add(lookups);
        }
        if let Some(from) = self.route.replace(to).filter(|from| *from != to) {
            self.trail().change(RouteChange { at, from, to, reason });
        }
    }

    fn trail(&mut self) -> &mut Trail {
        self.trail.get_or_insert_default()
    }

    /// The handle, its lookups by route, and what changed; none if nothing did.
    pub(super) fn into_parts(self) -> Option<(Handle, [u32; 3], Trail)> {
        Some((self.handle, self.routes, *self.trail?))
    }
}

impl Trail {
    fn change(&mut self, change: RouteChange) {
        self.changes = self.changes.saturating_add(1);
        self.first.get_or_insert(change);
        count(&mut self.reasons, change.reason);
        if self.latest.len() == limits::LOG_FLIPS_CHANGES_SHOWN {
            self.latest.pop_front();
        }
        self.latest.push_back(change);
    }

    fn bytes(&self) -> usize {
        let lists = self.latest.capacity() * size_of::<RouteChange>()
            + self.reasons.capacity() * size_of::<(Reason, u32)>()
            + self.registry.capacity() * size_of::<((ChangeKind, Cause), u32)>();
        size_of::<Self>() + lists + 4 * ALLOCATION_BYTES
    }
}

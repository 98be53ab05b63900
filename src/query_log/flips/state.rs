//! What is kept of one handle.

use std::{collections::VecDeque, mem::size_of};

use super::{
    super::{record::Outcome, segment::HandleEvent},
    report::RouteChange,
};
use crate::{
    handle::Handle,
    limits,
    vocabulary::{Cause, ChangeKind, Reason, Route},
};

/// What an allocation costs besides its bytes, about; the counts of a shared text too.
const ALLOCATION_BYTES: usize = 32;

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
    pub(super) handle: Handle,
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

/// Whether a moment is about the handle's route: an answer that everyone would have got, or a change of the registry.
pub(super) fn counts(moment: &HandleEvent) -> bool {
    match moment.outcome {
        Outcome::Change { .. } => true,
        Outcome::Refusals { .. } => false,
        Outcome::Lookup { route, reason, status } => {
            status == 200 && route.is_some() && reason != Reason::Undiscoverable
        }
    }
}

impl State {
    pub(super) const fn new(handle: Handle) -> Self {
        Self { handle, routes: [0; 3], route: None, trail: None }
    }

    /// Takes the handle's next moment that [`counts`].
    pub(super) fn apply(&mut self, moment: &HandleEvent) {
        match moment.outcome {
            Outcome::Change { change, cause } => count(&mut self.trail().registry, (change, cause)),
            Outcome::Lookup { route: None, .. } | Outcome::Refusals { .. } => {}
            Outcome::Lookup { route: Some(to), reason, .. } => {
                let place = Route::ALL.iter().position(|route| *route == to);
                if let Some(count) = place.and_then(|place| self.routes.get_mut(place)) {
                    *count = count.saturating_add(1);
                }
                if let Some(from) = self.route.replace(to).filter(|from| *from != to) {
                    self.trail().change(RouteChange { at: moment.at, from, to, reason });
                }
            }
        }
    }

    fn trail(&mut self) -> &mut Trail {
        self.trail.get_or_insert_default()
    }

    pub(super) fn bytes(&self) -> usize {
        let text = match &self.handle {
            Handle::Phone(_) => 0,
            Handle::Email(address) => address.as_str().len() + ALLOCATION_BYTES,
        };
        size_of::<Self>() + text + self.trail.as_ref().map_or(0, |trail| trail.bytes())
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

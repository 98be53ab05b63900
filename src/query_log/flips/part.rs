//! What one node of a cluster has of a handle, for the node that counts flips over all of them.
//!
//! A node hands over *steps* in the order of its log: the changes of the registry, and runs of lookups between them. A run has lookups
//! of one route with at most [`GAP`] from one to the next. The node that counts orders runs of several nodes by their first instants. So
//! it cannot tell how lookups of two nodes followed one another within a run.

use std::{mem::size_of, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{record::Outcome, segment::HandleEvent},
    kept::{ALLOCATION_BYTES, Kept, text_bytes},
};
use crate::{
    clock::Timestamp,
    handle::{self, Handle},
    ids::ChangeId,
    limits,
    vocabulary::{Cause, ChangeKind, Reason, Route},
};

/// The longest pause within a run.
pub(super) const GAP: Duration = Duration::from_secs(60);

/// What one node has of a handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlipPart {
    /// The handle, canonical.
    #[serde(with = "handle::canonical")]
    #[schema(value_type = String, example = "+14155550123")]
    pub handle: Handle,
    /// Changes and runs of lookups, in the order of the log.
    pub steps: Vec<FlipStep>,
    /// Whether there were more steps than an answer has for one handle; absent if not. The first ones are here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// A step of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FlipStep {
    /// A change of the registry.
    Change(FlipChange),
    /// Lookups that were answered with one route.
    Run(FlipRun),
}

/// A change of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlipChange {
    /// When the node recorded it.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its id, which is the same on all nodes.
    pub id: ChangeId,
    /// What changed.
    pub change: ChangeKind,
    /// Why.
    pub cause: Cause,
}

/// Lookups of one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlipRun {
    /// The first.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// The last.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// Their route.
    pub route: Route,
    /// The reason of the first.
    pub reason: Reason,
    /// How many.
    pub lookups: u32,
}

impl FlipStep {
    /// When it was, or began.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Change(change) => change.at,
            Self::Run(run) => run.first_at,
        }
    }
}

impl FlipRun {
    /// Takes a run in that continues this one after a pause of `gap` at most. False if it does not.
    fn takes(&mut self, next: &Self, gap: Duration) -> bool {
        let is_later = self.last_at <= next.first_at;
        if next.route != self.route || !is_later || gap < next.first_at.since(self.last_at) {
            return false;
        }
        self.last_at = next.last_at;
        self.lookups = self.lookups.saturating_add(next.lookups);
        true
    }
}

/// A part that is being read.
#[derive(Debug)]
pub(in crate::query_log) struct Steps {
    pub(in crate::query_log) part: FlipPart,
    /// The longest pause within its runs: longer than [`GAP`] if there were too many.
    gap: Duration,
}

impl Steps {
    fn push(&mut self, step: FlipStep) {
        if limits::LOG_FLIPS_STEPS_MAX <= self.part.steps.len() {
            self.shorten();
        }
        if self.part.is_cut {
            return;
        }
        if self.part.steps.is_empty() {
            // Most handles have one step, for which a vector would take four times as much.
            self.part.steps.reserve_exact(1);
        }
        self.part.steps.push(step);
    }

    /// Joins runs over longer pauses, until a quarter of the steps is free. If the route changed too often for that, no more is taken.
    fn shorten(&mut self) {
        while limits::LOG_FLIPS_STEPS_MAX / 4 * 3 < self.part.steps.len() {
            if limits::LOG_FLIPS_GAP_MAX < self.gap {
                self.part.is_cut = true;
                return;
            }
            self.gap *= 2;
            let gap = self.gap;
            self.part.steps.dedup_by(|next, kept| match (next, kept) {
                (FlipStep::Run(next), FlipStep::Run(kept)) => kept.takes(next, gap),
                _ => false,
            });
        }
    }

    fn lookup(&mut self, at: Timestamp, route: Route, reason: Reason) {
        let (first_at, last_at, lookups) = (at, at, 1);
        let run = FlipRun { first_at, last_at, route, reason, lookups };
        let is_taken = match self.part.steps.last_mut() {
            Some(FlipStep::Run(last)) => last.takes(&run, self.gap),
            Some(FlipStep::Change(_)) | None => false,
        };
        if !is_taken {
            self.push(FlipStep::Run(run));
        }
    }
}

impl Kept for Steps {
    const WITH_IDS: bool = true;

    fn new(handle: Handle) -> Self {
        Self { part: FlipPart { handle, steps: Vec::new(), is_cut: false }, gap: GAP }
    }

    fn handle(&self) -> &Handle {
        &self.part.handle
    }

    fn apply(&mut self, event: &HandleEvent) {
        let HandleEvent { at, outcome, change: id } = *event;
        match (outcome, id) {
            _ if self.part.is_cut => {}
            (Outcome::Change { change, cause }, Some(id)) => {
                self.push(FlipStep::Change(FlipChange { at, id, change, cause }));
            }
            (Outcome::Lookup { route: Some(route), reason, .. }, _) => {
                self.lookup(at, route, reason);
            }
            _ => {}
        }
    }

    fn bytes(&self) -> usize {
        let steps = self.part.steps.capacity() * size_of::<FlipStep>();
        size_of::<Self>() + text_bytes(&self.part.handle) + steps + ALLOCATION_BYTES
    }
}

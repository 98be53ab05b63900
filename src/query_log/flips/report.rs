//! What is asked about flips, and what is answered.

use super::likely::Likely;
use crate::{
    vocabulary::{Cause, ChangeKind, Reason, Route},
    {clock::Timestamp, handle::Handle, limits},
};

/// Which flips to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlipQuery {
    /// Lookups from this instant on.
    pub since: Option<Timestamp>,
    /// Lookups before this instant.
    pub until: Option<Timestamp>,
    /// Changes of a handle's route that make it one to show: two are there and back.
    pub min: u32,
    /// Handles to show at most.
    pub limit: usize,
}

impl FlipQuery {
    /// The fewest changes that are back and forth.
    pub const MIN: u32 = 2;
}

impl Default for FlipQuery {
    fn default() -> Self {
        let limit = limits::LOG_FLIPS_HANDLES_DEFAULT;
        Self { since: None, until: None, min: Self::MIN, limit }
    }
}

/// A lookup whose route differs from that of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteChange {
    /// When it was asked.
    pub at: Timestamp,
    /// The route of the lookup before it.
    pub from: Route,
    /// Its route.
    pub to: Route,
    /// Its reason.
    pub reason: Reason,
}

/// How often the registry changed in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryCount {
    /// What changed.
    pub change: ChangeKind,
    /// Why.
    pub cause: Cause,
    /// How often.
    pub count: u32,
}

/// A handle whose route went back and forth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The handle.
    pub handle: Handle,
    /// Changes of its route.
    pub changes: u32,
    /// When its route was first seen changed.
    pub first_at: Timestamp,
    /// When it was last seen changed.
    pub last_at: Timestamp,
    /// Lookups that were answered, by route; those of other routes are none.
    pub routes: Vec<(Route, u32)>,
    /// The latest changes, oldest first; [`limits::LOG_FLIPS_CHANGES_SHOWN`] at most.
    pub latest: Vec<RouteChange>,
    /// Reasons of the lookups that changed, most frequent first.
    pub reasons: Vec<(Reason, u32)>,
    /// Changes of the registry that concern it, most frequent first.
    pub registry: Vec<RegistryCount>,
    /// The likely cause.
    pub likely: Likely,
}

impl Flip {
    /// Lookups of it that were answered.
    #[must_use]
    pub fn lookups(&self) -> u64 {
        self.routes.iter().map(|route| u64::from(route.1)).sum()
    }
}

/// All handles that flipped, those that are not shown too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlipSummary {
    /// Lookups from this instant on were counted: what was asked for, as far as it has not expired.
    pub since: Timestamp,
    /// Lookups before this instant were counted; none if up to the last.
    pub until: Option<Timestamp>,
    /// Handles that flipped.
    pub handles: u64,
    /// Changes of their routes.
    pub changes: u64,
    /// How many handles have which likely cause, most frequent first.
    pub likely: Vec<(Likely, u64)>,
    /// Damaged places that were passed over: a frame each, or what is damaged in a sealed segment. Lookups that are missing
    /// may hide changes.
    pub damaged: u64,
    /// Segments inside the retention of which nothing could be read.
    pub unreadable_segments: u64,
}

/// The handles that flipped, most often first, then by handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlipReport {
    /// As many as were asked for.
    pub flips: Vec<Flip>,
    /// Over all of them.
    pub summary: FlipSummary,
    /// It was asked to stop, and does not say everything.
    pub stopped: bool,
}

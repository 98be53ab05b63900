//! Runs: lookups with the same answer for the same reason, folded until something changes.

use std::{collections::HashSet, sync::Arc};

use super::{
    entry::{Because, Entry, LookupsEntry},
    phrasing::{Ground, Phrasing},
    spelling::ChangeRef,
};
use crate::{
    clock::Timestamp,
    ids::{DeviceId, RequestId},
    limits,
    query_log::{LookupRecord, Reason, Route},
};

/// What lookups of one run have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Which spelling was asked for.
    pub(super) spelling: usize,
    pub(super) route: Option<Route>,
    pub(super) reason: Reason,
    pub(super) status: u16,
    pub(super) by_its_owner: bool,
}

/// Why the lookups of a run were answered as they were: the same for all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    pub(super) because: Option<ChangeRef>,
    pub(super) through: Option<String>,
    pub(super) came_back_after: Option<Timestamp>,
    pub(super) by_its_owner: bool,
}

impl Evidence {
    pub(super) fn ground(&self) -> Ground<'_> {
        Ground {
            because: self.because.as_ref(),
            through: self.through.as_deref(),
            came_back_after: self.came_back_after,
            by_its_owner: self.by_its_owner,
        }
    }

    pub(super) fn because(&self) -> Option<Because> {
        self.because.as_ref().map(ChangeRef::because)
    }
}

/// A run that is still open.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) kind: Kind,
    evidence: Arc<Evidence>,
    first: Timestamp,
    last: Timestamp,
    count: u64,
    request: RequestId,
    askers: HashSet<DeviceId>,
    has_more_askers: bool,
    named: Vec<DeviceId>,
}

impl Run {
    pub(super) fn new(
        kind: Kind,
        evidence: Arc<Evidence>,
        at: Timestamp,
        lookup: &LookupRecord,
    ) -> Self {
        let mut run = Self {
            kind,
            evidence,
            first: at,
            last: at,
            count: 0,
            request: lookup.request,
            askers: HashSet::new(),
            has_more_askers: false,
            named: Vec::new(),
        };
        run.add(at, lookup);
        run
    }

    pub(super) fn add(&mut self, at: Timestamp, lookup: &LookupRecord) {
        self.last = at;
        self.count += 1;
        self.request = lookup.request;
        let Some(device) = lookup.device else { return };
        if self.askers.len() >= limits::TIMELINE_ASKERS_MAX {
            self.has_more_askers |= !self.askers.contains(&device);
        } else if self.askers.insert(device) && self.named.len() < limits::TIMELINE_ASKERS_NAMED_MAX
        {
            self.named.push(device);
        }
    }

    /// The run as an entry of the timeline.
    pub(super) fn entry(self, handle: String, phrasing: Phrasing) -> Entry {
        let askers = match (self.askers.len(), self.has_more_askers) {
            (number, true) => format!("at least {number} devices"),
            (1, false) => "one device".to_owned(),
            (number, false) => format!("{number} devices"),
        };
        let Kind { route, reason, status, by_its_owner, .. } = self.kind;
        let why = phrasing.reason(reason, &self.evidence.ground());
        let sentence =
            phrasing.lookups(route, (self.first, self.last), (self.count, &askers), &why);
        Entry::Lookups(LookupsEntry {
            at: self.first,
            last: self.last,
            count: self.count,
            askers: self.askers.len() as u64,
            askers_at_least: self.has_more_askers,
            devices: self.named.iter().map(ToString::to_string).collect(),
            handle,
            route: route.map(Route::code),
            reason: reason.code(),
            status,
            request: self.request.to_string(),
            by_its_owner,
            because: self.evidence.because(),
            sentence,
        })
    }
}

//! Runs: lookups with the same answer for the same reason, folded until something changes.

use std::{collections::HashSet, sync::Arc};

use super::{
    entry::{Entry, LookupsEntry},
    phrasing::{Evidence, Phrasing, colour},
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    ids::{DeviceId, RequestId},
    limits,
    query_log::LookupRecord,
    vocabulary::{Reason, Route},
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

    pub(super) fn entry(self, handle: Handle, phrasing: Phrasing) -> Entry {
        let askers = match (self.askers.len(), self.has_more_askers) {
            (number, true) => format!("at least {number} devices"),
            (1, false) => "one device".to_owned(),
            (number, false) => format!("{number} devices"),
        };
        let Kind { route, reason, status, by_its_owner, .. } = self.kind;
        let why = phrasing.reason(reason, &self.evidence);
        let (colour, first) = (colour(route), phrasing.time(self.first));
        let sentence = if self.count == 1 {
            format!("{colour} at {first}: {why}")
        } else {
            let (count, last) = (self.count, phrasing.time(self.last));
            format!("{colour} {count} times from {first} to {last}, asked by {askers}: {why}")
        };
        Entry::Lookups(LookupsEntry {
            at: self.first,
            last: self.last,
            count: self.count,
            askers: self.askers.len() as u64,
            askers_at_least: self.has_more_askers,
            devices: self.named,
            handle,
            route,
            reason,
            status,
            request: self.request,
            by_its_owner,
            because: self.evidence.because.clone(),
            sentence,
        })
    }
}

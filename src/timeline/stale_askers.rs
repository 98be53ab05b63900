//! Who was given which answer, for as long as they may go by it.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::Timestamp,
    dispatch,
    ids::{AccountId, DeviceId, RequestId},
    limits,
    query_log::LookupRecord,
    vocabulary::Route,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenAnswer {
    pub(super) device: DeviceId,
    /// Which spelling it asked for.
    pub(super) spelling: usize,
    pub(super) account: Option<AccountId>,
    pub(super) at: Timestamp,
    pub(super) route: Route,
    pub(super) request: RequestId,
    /// Until when it may go by it, at most: the lease behind it may have been shorter, and the log does not hold that.
    pub(super) until: Timestamp,
}

/// The last answer of each asker that may still be gone by.
#[derive(Clone, Debug)]
pub(super) struct StaleAskers {
    reuse: dispatch::Config,
    answers: HashMap<(DeviceId, usize), GivenAnswer>,
    has_more: bool,
    /// Before this instant a full map is not searched for what has run out: it was, and nothing had.
    next_sweep: Timestamp,
}

impl StaleAskers {
    pub(super) fn new(reuse: dispatch::Config) -> Self {
        Self { reuse, answers: HashMap::new(), has_more: false, next_sweep: Timestamp::EPOCH }
    }

    /// Takes an answer; a refusal leaves an asker with the answer before.
    pub(super) fn answered(&mut self, at: Timestamp, spelling: usize, lookup: &LookupRecord) {
        let (Some(device), Some(route), 200) = (lookup.device, lookup.route, lookup.status) else {
            return;
        };
        let span =
            if route == Route::Imessage { self.reuse.reuse_live } else { self.reuse.reuse_other };
        let (account, request) = (lookup.account, lookup.request);
        let answer =
            GivenAnswer { device, spelling, account, at, route, request, until: at.plus(span) };
        let key = (device, spelling);
        if self.answers.len() >= limits::TIMELINE_HOLDERS_MAX && !self.answers.contains_key(&key) {
            self.sweep(at);
            if self.answers.len() >= limits::TIMELINE_HOLDERS_MAX {
                self.has_more = true;
                return;
            }
        }
        self.answers.insert(key, answer);
    }

    fn sweep(&mut self, now: Timestamp) {
        if now < self.next_sweep {
            return;
        }
        self.answers.retain(|_, answer| now < answer.until);
        // A sweep reads everything: not for each row of a flood.
        self.next_sweep = now.plus(Duration::from_secs(1));
    }

    /// Those who at `now` may still go by their answer, in the order in which they got it; and whether there may be more
    /// than are kept.
    pub(super) fn at(&self, now: Timestamp) -> (Vec<GivenAnswer>, bool) {
        let mut held: Vec<_> =
            self.answers.values().filter(|answer| now < answer.until).copied().collect();
        held.sort_unstable_by_key(|answer| (answer.at, answer.device, answer.spelling));
        (held, self.has_more)
    }
}

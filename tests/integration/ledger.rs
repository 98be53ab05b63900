//! What clients were told, and whether the server still says the same: nothing lost, nothing twice.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{connection::Reply, harness::Server, load::Client};

/// Whether something happened, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    No,
    /// It was under way when the server fell silent or refused.
    Maybe,
    Yes,
}

/// What one client knows.
#[derive(Default)]
pub(crate) struct Ledger {
    /// How many records each answered query has, by request id.
    pub(crate) answered: HashMap<String, usize>,
    pub(crate) phones: Vec<Phone>,
}

/// A device whose sign-up was acknowledged.
pub(crate) struct Phone {
    device: String,
    pub(crate) token: String,
    pub(crate) gone: Fate,
    pub(crate) handles: Vec<Held>,
    /// Something happened since it was last compared.
    pub(crate) is_stale: bool,
}

/// A handle that a phone once confirmed, or tried to.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) handle: String,
    pub(crate) bound: Fate,
    pub(crate) unbound: Fate,
}

impl Held {
    pub(crate) const fn maybe(handle: String) -> Self {
        Self { handle, bound: Fate::Maybe, unbound: Fate::No }
    }

    pub(crate) const fn of_nobody(handle: String) -> Self {
        Self { handle, bound: Fate::No, unbound: Fate::No }
    }

    pub(crate) fn is_certainly_bound(&self) -> bool {
        (self.bound, self.unbound) == (Fate::Yes, Fate::No)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.bound == Fate::Maybe || self.unbound == Fate::Maybe
    }

    /// That an answer is what is known of the handle.
    pub(crate) fn check_route(&self, answer: &Value) {
        let route = if self.is_certainly_bound() { "imessage" } else { "sms" };
        assert!(self.is_open() || answer["route"] == route, "{self:?} but {answer}");
    }

    fn settle(&mut self, is_bound: bool) {
        if self.is_open() {
            match (self.bound, is_bound) {
                (Fate::Maybe, true) => self.bound = Fate::Yes,
                (Fate::Maybe, false) => self.bound = Fate::No,
                (_, true) => self.unbound = Fate::No,
                (_, false) => self.unbound = Fate::Yes,
            }
        }
        assert_eq!(self.is_certainly_bound(), is_bound, "acknowledged otherwise: {self:?}");
    }
}

impl Phone {
    /// As a sign-up was answered.
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            device: reply.text("device"),
            token: reply.text("token"),
            gone: Fate::No,
            handles: Vec::new(),
            is_stale: true,
        }
    }

    /// It is signed out, and its handles with it.
    pub(crate) fn has_gone(&mut self) {
        self.gone = Fate::Yes;
        let bound = self.handles.iter_mut().filter(|held| held.is_certainly_bound());
        bound.for_each(|held| held.unbound = Fate::Yes);
    }

    /// Compares with what the server says of the device now, and takes from it what was open.
    pub(crate) fn settle(&mut self, reply: &Reply) {
        let device = &self.device;
        match (reply.status, self.gone) {
            (401, Fate::No) => panic!("an acknowledged sign-up is gone: {device}"),
            (401, _) => self.has_gone(),
            (200, Fate::Yes) => panic!("an acknowledged sign-out is gone: {device}"),
            (200, _) => {
                self.gone = Fate::No;
                let backed = reply.body["handles"].as_array().expect("handles");
                for held in &mut self.handles {
                    held.settle(backed.iter().any(|row| row["handle"] == held.handle));
                }
                let bound = self.handles.iter().filter(|held| held.is_certainly_bound());
                assert_eq!(bound.count(), backed.len(), "{reply:?}");
            }
            _ => panic!("of {device}: {reply:?}"),
        }
    }
}

/// Records of changes, counted by change, device and handle.
type Changes<'a> = HashMap<(Cow<'a, str>, Cow<'a, str>, Cow<'a, str>), usize>;

/// One row of the log, as far as it matters here.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    request: Option<Cow<'a, str>>,
    change: Option<Cow<'a, str>>,
    handle: Option<Cow<'a, str>>,
    device: Option<Cow<'a, str>>,
}

/// What a reading of the whole log found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that answered queries must have.
    pub(crate) answered: usize,
    /// Of these, not there.
    pub(crate) lost: usize,
    /// Records, of any query, that are there again.
    pub(crate) duplicated: usize,
    /// Changes that clients know of.
    pub(crate) changes: usize,
    /// Of these, without exactly the one record that tells of them; or records of what did not happen.
    pub(crate) changes_wrong: usize,
}

impl Tally {
    /// Reads the whole log over the operators' API and compares it with what settled clients know.
    pub(crate) async fn take(server: &Server, token: &str, clients: &[Client]) -> Self {
        let request = server.operator(token, "/v1/log?order=asc");
        let response = request.header("accept", "application/x-ndjson").send().await;
        let text = response.expect("the log answers").text().await.expect("to its end");
        let rows = text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON"));
        let mut tally = Self::default();
        let (mut queries, mut changes) = (HashMap::new(), Changes::new());
        let mut seen = HashSet::new();
        for Row { request, change, handle, device } in rows {
            if let Some(request) = request {
                tally.duplicated += usize::from(!seen.insert((request.clone(), handle)));
                *queries.entry(request).or_insert(0) += 1;
            } else {
                let change = change.expect("a change names itself");
                let device = device.unwrap_or_default();
                *changes.entry((change, device, handle.unwrap_or_default())).or_insert(0) += 1;
            }
        }
        tally.duplicated += changes.values().filter(|count| **count > 1).count();
        for ledger in clients.iter().map(|client| &client.ledger) {
            tally.queries(ledger, &queries);
            tally.changes(ledger, &changes);
        }
        tally
    }

    fn queries(&mut self, ledger: &Ledger, logged: &HashMap<Cow<'_, str>, usize>) {
        for (request, records) in &ledger.answered {
            let found = logged.get(request.as_str()).copied().unwrap_or(0);
            self.answered += records;
            self.lost += records.saturating_sub(found);
            self.duplicated += found.saturating_sub(*records);
        }
    }

    fn changes(&mut self, ledger: &Ledger, logged: &Changes<'_>) {
        let mut expect = |change: &str, device: &str, handle: &str, fate: Fate| {
            assert_ne!(fate, Fate::Maybe, "settle first");
            let key = (change.into(), device.into(), handle.into());
            let found = logged.get(&key).copied().unwrap_or(0);
            self.changes += usize::from(fate == Fate::Yes);
            if found != usize::from(fate == Fate::Yes) {
                self.changes_wrong += 1;
                eprintln!("{found} records of {change} {device} {handle}, {fate:?}");
            }
        };
        for phone in &ledger.phones {
            expect("device-registered", &phone.device, "", Fate::Yes);
            expect("device-removed", &phone.device, "", phone.gone);
            for held in &phone.handles {
                expect("handle-bound", &phone.device, &held.handle, held.bound);
                expect("handle-unbound", &phone.device, &held.handle, held.unbound);
            }
        }
    }

    /// That nothing is lost and nothing is there twice.
    pub(crate) fn assert_sound(&self) {
        let Self { lost, duplicated, changes_wrong, .. } = *self;
        assert_eq!((lost, duplicated, changes_wrong), (0, 0, 0), "{self:?}");
    }
}

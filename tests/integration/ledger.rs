//! Records the answers that clients got, and checks that the server still agrees: nothing lost, nothing duplicated.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{connection::Reply, harness::Server, load::Client};

/// Whether a change happened, as far as the client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    No,
    /// The change was in flight when the server died or refused.
    Maybe,
    Yes,
}

/// What one client knows.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The number of records of each answered query, by request id.
    pub(crate) answered: HashMap<String, usize>,
    pub(crate) phones: Vec<Phone>,
}

/// A device whose sign-up was acknowledged.
pub(crate) struct Phone {
    device: String,
    pub(crate) token: String,
    pub(crate) gone: Fate,
    pub(crate) handles: Vec<Held>,
    /// Whether something changed since the last comparison.
    pub(crate) is_stale: bool,
}

/// A handle that a phone confirmed or tried to confirm.
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

    /// Asserts that an answer agrees with what the client knows.
    pub(crate) fn check_route(&self, answer: &Value) {
        let route = if self.is_certainly_bound() { "imessage" } else { "sms" };
        assert!(self.is_open() || answer["route"] == route, "{self:?} but {answer}");
    }

    fn reconcile(&mut self, is_bound: bool) {
        if self.is_open() {
            match (self.bound, is_bound) {
                (Fate::Maybe, true) => self.bound = Fate::Yes,
                (Fate::Maybe, false) => self.bound = Fate::No,
                (_, true) => self.unbound = Fate::No,
                (_, false) => self.unbound = Fate::Yes,
            }
        }
        assert_eq!(
            self.is_certainly_bound(),
            is_bound,
            "the server contradicts an acknowledgement: {self:?}"
        );
    }
}

impl Phone {
    /// The phone from the answer to its sign-up.
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            device: reply.text("device"),
            token: reply.text("token"),
            gone: Fate::No,
            handles: Vec::new(),
            is_stale: true,
        }
    }

    /// Notes the sign-out of the phone, which unbinds its handles.
    pub(crate) fn has_gone(&mut self) {
        self.gone = Fate::Yes;
        let bound = self.handles.iter_mut().filter(|held| held.is_certainly_bound());
        bound.for_each(|held| held.unbound = Fate::Yes);
    }

    /// Compares with the server's view of the device, and resolves what was unknown.
    pub(crate) fn reconcile(&mut self, reply: &Reply) {
        let device = &self.device;
        match (reply.status, self.gone) {
            (401, Fate::No) => panic!("an acknowledged sign-up was lost: {device}"),
            (401, _) => self.has_gone(),
            (200, Fate::Yes) => panic!("an acknowledged sign-out was lost: {device}"),
            (200, _) => {
                self.gone = Fate::No;
                let backed = reply.body["handles"].as_array().expect("handles");
                for held in &mut self.handles {
                    held.reconcile(backed.iter().any(|row| row["handle"] == held.handle));
                }
                let bound = self.handles.iter().filter(|held| held.is_certainly_bound());
                assert_eq!(bound.count(), backed.len(), "{reply:?}");
            }
            _ => panic!("of {device}: {reply:?}"),
        }
    }
}

/// How many records each change, device and handle has.
type Changes<'a> = HashMap<(Cow<'a, str>, Cow<'a, str>, Cow<'a, str>), usize>;

/// The fields of a row that this test needs.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    request: Option<Cow<'a, str>>,
    change: Option<Cow<'a, str>>,
    handle: Option<Cow<'a, str>>,
    device: Option<Cow<'a, str>>,
}

/// The result of reading the whole log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Records that answered queries must have.
    pub(crate) answered: usize,
    /// Of these, records that are missing.
    pub(crate) lost: usize,
    /// Records of any query that occur more than once.
    pub(crate) duplicated: usize,
    /// Changes that clients know of.
    pub(crate) changes: usize,
    /// Changes that do not have exactly one record, and records of changes that did not happen.
    pub(crate) changes_wrong: usize,
}

impl Tally {
    /// Reads the whole log over the operators' API and compares it with the reconciled clients.
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
                let change = change.expect("a change record has its change");
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
            assert_ne!(fate, Fate::Maybe, "reconcile first");
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

    /// Asserts that no record is missing or duplicated.
    pub(crate) fn assert_sound(&self) {
        let Self { lost, duplicated, changes_wrong, .. } = *self;
        assert_eq!((lost, duplicated, changes_wrong), (0, 0, 0), "{self:?}");
    }
}

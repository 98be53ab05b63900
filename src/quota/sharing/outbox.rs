//! [`Outbox`]: what the next round tells the other nodes, a bounded amount of it.

use std::{
    collections::{HashMap, VecDeque},
    mem,
};

use foldhash::quality::RandomState;

use super::news::Spent;
use crate::{
    limits,
    quota::{counter::Counter, fingerprint::Fingerprint, keyed::Key},
};

/// What waits to be told.
#[derive(Default)]
pub(super) struct Outbox {
    /// Units, without those that [`Sharing`](super::Sharing) counts as untold.
    spent: HashMap<(Counter, Key), i64, RandomState>,
    asked: VecDeque<Fingerprint>,
}

impl Outbox {
    /// Adds units, or with 0 only lets the key be told. False, and adds nothing, if too much waits.
    pub(super) fn add(&mut self, spent: impl Iterator<Item = Spent> + Clone) -> bool {
        let key = |row: &Spent| (row.counter, row.key);
        let more = spent.clone().filter(|row| !self.spent.contains_key(&key(row))).count();
        let fits = self.spent.len() + more <= limits::QUOTA_NEWS_ROWS_MAX;
        if fits {
            spent.for_each(|row| *self.spent.entry(key(&row)).or_default() += row.units);
        }
        fits
    }

    /// Adds answered handles. If too many wait, the oldest are dropped: they cost again on other nodes.
    pub(super) fn remember(&mut self, asked: impl IntoIterator<Item = Fingerprint>) {
        self.asked.extend(asked);
        let excess = self.asked.len().saturating_sub(limits::QUOTA_UNTOLD_HANDLES_MAX);
        self.asked.drain(..excess);
    }

    /// Takes what one round tells. More handles may be left.
    pub(super) fn take(&mut self) -> (impl Iterator<Item = Spent> + use<>, Vec<Fingerprint>) {
        let spent = mem::take(&mut self.spent);
        let spent = spent.into_iter().map(|((counter, key), units)| Spent { counter, key, units });
        let count = self.asked.len().min(limits::QUOTA_NEWS_HANDLES_MAX);
        (spent, self.asked.drain(..count).collect())
    }

    /// Whether something waits.
    pub(super) fn is_empty(&self) -> bool {
        self.spent.is_empty() && self.asked.is_empty()
    }
}

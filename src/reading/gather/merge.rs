//! Merges the rows of all nodes into one order, and finds the records of one change in several logs.
//!
//! Every node records every change, when it applies it. A record of a change is a *double* if the log of another node has one of the same
//! change that is earlier, by at most [`Bounds::span`]. So the earliest stays, in both orders, on every page, and at whichever node it is
//! asked. A record that is later by more than that stays, too: its node was away, and learnt of the change only then. So does one that tells
//! the change otherwise: a node that lies hides no record that is true.
//!
//! In ascending order the earliest comes first, and [`Recent`] remembers its key. In descending order it comes last: the merge looks ahead
//! in the rows of the other nodes, as far as the span reaches.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    ids::ChangeId,
    limits,
    query_log::{LogRow, Order, Record},
    reading::records::ReadingError,
};

/// A change as a record tells it: its id, and a hash of what is equal in the records of all nodes. A node that lies about a change makes
/// another key, so its record hides none that is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ChangeKey {
    pub(super) id: ChangeId,
    pub(super) content: u64,
}

/// Makes the keys of one answer. The hash is of a random key: nobody can find another change with the same one.
#[derive(Clone, Default)]
pub(super) struct ChangeKeys(RandomState);

impl ChangeKeys {
    /// The key of a row; none if it is no change. Its instant is not part of it.
    pub(super) fn of(&self, row: &LogRow) -> Option<ChangeKey> {
        match &row.record {
            Record::Change(change) => {
                let about = (&change.handle, change.device, change.account);
                let content = self.0.hash_one((change.kind, change.cause, about));
                Some(ChangeKey { id: change.id, content })
            }
            Record::Lookup(_) | Record::Refusals(_) => None,
        }
    }
}

/// A row on its way through a merge.
pub(super) struct Item<T> {
    pub(super) at: Timestamp,
    /// The change, if the row is the record of one.
    pub(super) change: Option<ChangeKey>,
    pub(super) row: T,
}

/// The rows of one node, in the order asked for. It waits for the next one.
pub(super) trait Part<T> {
    /// The next row; none if there is no more.
    fn next(&mut self) -> Option<Result<Item<T>, ReadingError>>;
}

/// How far doubles are looked for, and how much memory that takes.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// How much later than the first record of a change another one counts as its double.
    pub(super) span: Duration,
    /// Rows of each node that are held to look ahead.
    pub(super) rows_ahead: usize,
    /// Changes that are remembered.
    pub(super) changes: usize,
}

impl Bounds {
    pub(super) const USUAL: Self = Self {
        span: limits::CLUSTER_DOUBLES_SPAN,
        rows_ahead: limits::CLUSTER_ROWS_AHEAD_MAX,
        changes: limits::CLUSTER_CHANGES_KEPT_MAX,
    };
}

/// A row that is next in the order of all, and which part has it.
pub(super) struct Merged<T> {
    pub(super) part: usize,
    pub(super) item: Item<T>,
    pub(super) is_double: bool,
}

/// A running merge of parts. Rows of one instant are in the order of the parts.
pub(super) struct Merge<T, P> {
    order: Order,
    bounds: Bounds,
    parts: Vec<Ahead<T, P>>,
    recent: Recent,
}

impl<T, P: Part<T>> Merge<T, P> {
    /// Of `parts`. `recent` knows the changes before their first rows, in ascending order.
    pub(super) fn new(parts: Vec<P>, order: Order, bounds: Bounds, recent: Recent) -> Self {
        let parts = parts.into_iter().map(|part| Ahead {
            part,
            rows: VecDeque::new(),
            changes: HashMap::new(),
            is_over: false,
        });
        Self { order, bounds, parts: parts.collect(), recent }
    }

    /// The changes that it met, in ascending order.
    pub(super) fn into_recent(self) -> Recent {
        self.recent
    }

    /// The parts, in their order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &P> {
        self.parts.iter().map(|ahead| &ahead.part)
    }

    /// The next row of all; none if there is no more.
    pub(super) fn next(&mut self) -> Option<Result<Merged<T>, ReadingError>> {
        for part in &mut self.parts {
            if part.rows.is_empty()
                && let Err(error) = part.pull()
            {
                return Some(Err(error));
            }
        }
        let fronts = self.parts.iter().enumerate();
        let fronts = fronts.filter_map(|(part, ahead)| Some((ahead.rows.front()?.at, part)));
        let part = match self.order {
            Order::Asc => fronts.min(),
            Order::Desc => fronts.max(),
        };
        let part = part?.1;
        let item = self.parts.get_mut(part)?.pop()?;
        let is_double = match (item.change, self.order) {
            (None, _) => Ok(false),
            (Some(change), Order::Asc) => {
                Ok(self.recent.is_double(change, item.at, part, self.bounds))
            }
            (Some(change), Order::Desc) => self.has_earlier(change, item.at, part),
        };
        Some(is_double.map(|is_double| Merged { part, item, is_double }))
    }

    /// Whether another part has an earlier record of the change. In descending order all of its rows ahead are earlier.
    fn has_earlier(
        &mut self,
        change: ChangeKey,
        at: Timestamp,
        of: usize,
    ) -> Result<bool, ReadingError> {
        let oldest = at.minus(self.bounds.span);
        for (part, ahead) in self.parts.iter_mut().enumerate() {
            if part == of {
                continue;
            }
            loop {
                if ahead.changes.get(&change).is_some_and(|found| oldest <= *found) {
                    return Ok(true);
                }
                let is_far = ahead.rows.back().is_some_and(|last| last.at < oldest);
                if is_far || self.bounds.rows_ahead <= ahead.rows.len() || !ahead.pull()? {
                    break;
                }
            }
        }
        Ok(false)
    }
}

/// A part, with its rows that were read and not given.
struct Ahead<T, P> {
    part: P,
    rows: VecDeque<Item<T>>,
    /// The changes among these rows.
    changes: HashMap<ChangeKey, Timestamp>,
    is_over: bool,
}

impl<T, P: Part<T>> Ahead<T, P> {
    /// Reads one more row. False if there is none.
    fn pull(&mut self) -> Result<bool, ReadingError> {
        if self.is_over {
            return Ok(false);
        }
        let Some(item) = self.part.next().transpose()? else {
            self.is_over = true;
            return Ok(false);
        };
        if let Some(change) = item.change {
            self.changes.insert(change, item.at);
        }
        self.rows.push_back(item);
        Ok(true)
    }

    fn pop(&mut self) -> Option<Item<T>> {
        let item = self.rows.pop_front()?;
        if let Some(change) = item.change {
            self.changes.remove(&change);
        }
        Some(item)
    }
}

/// The changes that were met last, each with its newest record.
#[derive(Default)]
pub(super) struct Recent {
    newest: HashMap<ChangeKey, (Timestamp, usize)>,
    met: VecDeque<(ChangeKey, Timestamp)>,
}

impl Recent {
    /// Notes a record of a change in a part. True if another part has an earlier one.
    pub(super) fn is_double(
        &mut self,
        change: ChangeKey,
        at: Timestamp,
        part: usize,
        bounds: Bounds,
    ) -> bool {
        let is_old = |met: &(ChangeKey, Timestamp)| met.1.plus(bounds.span) < at;
        while self.met.front().is_some_and(is_old) || bounds.changes <= self.met.len() {
            let Some((old, met_at)) = self.met.pop_front() else { break };
            if self.newest.get(&old).is_some_and(|newest| newest.0 == met_at) {
                self.newest.remove(&old);
            }
        }
        self.met.push_back((change, at));
        let before = self.newest.insert(change, (at, part));
        before.is_some_and(|(before, of)| of != part && at <= before.plus(bounds.span))
    }
}

/// The bounds of time for the rows of a node that come behind the row of `last` at `at`: from the first instant on, before the second one.
pub(super) fn behind(
    (at, last): (Timestamp, u64),
    node: u64,
    order: Order,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let next = at.plus(Duration::from_micros(1));
    match order {
        Order::Asc => (Some(if node > last { at } else { next }), None),
        Order::Desc => (None, Some(if node < last { next } else { at })),
    }
}

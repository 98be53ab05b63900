//! One history of one handle from the records of several nodes.
//!
//! Every node applies the same changes in the same order. It records each of them where it becomes visible, so its log says for each lookup
//! after which change of the handle it was decided. The clocks of the nodes do not: they differ, and a node may apply a change late. So
//! the history is aligned by the changes:
//!
//! ```text
//! a:  lookup  change 1  lookup  lookup  change 2
//! b:  lookup  lookup  lookup  change 1  change 2  lookup
//!     `-- before change 1 --'        `- between -'   `- after change 2
//! ```
//!
//! Between two changes the lookups of all nodes come in the order of their instants. A change comes once, with the instant of the node that
//! recorded it first. Instants in a history may therefore go back by as much as the clocks differ.
//!
//! A node may lack a change: it took another node's state over that has it, or its record has expired or cannot be read. Then that
//! node's lookups come before the change if they are earlier than it was decided, which its id tells. A node that shows a
//! change stamps no record earlier ([`LogReader`](crate::query_log::LogReader) of a cluster), so nothing that saw the change comes before
//! it. What did not see it may come behind it, if the node answered it less than the difference of the clocks before it missed the change.
//!
//! Changes that the lists of changes do not name yet were recorded after the lists were read. Every node records such a change later than
//! all that it has told so far, so they need no list.

use std::collections::HashSet;

use super::change_order::KnownChange;
use crate::{
    clock::Timestamp,
    ids::ChangeId,
    query_log::{FlipChange, FlipStep, LogRow},
};

/// A row of one node: a change, or what lies between two changes.
pub trait Aligned {
    /// When the node recorded it.
    fn at(&self) -> Timestamp;

    /// The change, if it is one.
    fn change(&self) -> Option<ChangeId>;

    /// The same at another instant.
    #[must_use]
    fn moved_to(self, at: Timestamp) -> Self;
}

impl Aligned for LogRow {
    fn at(&self) -> Timestamp {
        self.at
    }

    fn change(&self) -> Option<ChangeId> {
        self.record.change_id()
    }

    fn moved_to(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}

impl Aligned for FlipStep {
    fn at(&self) -> Timestamp {
        Self::at(self)
    }

    fn change(&self) -> Option<ChangeId> {
        match self {
            Self::Change(change) => Some(change.id),
            Self::Run(_) => None,
        }
    }

    fn moved_to(self, at: Timestamp) -> Self {
        match self {
            Self::Change(change) => Self::Change(FlipChange { at, ..change }),
            // Only changes stand in several logs.
            Self::Run(_) => self,
        }
    }
}

/// Rows of several nodes in one order. `N` gives those of one node.
pub(super) struct Interleave<N, R, E> {
    nodes: Vec<Node<N, R>>,
    /// The changes that were recorded when the reading began.
    order: Vec<KnownChange>,
    /// The place in `order` of the next change to give.
    next: usize,
    /// Changes that were given: a crash may leave a record twice.
    given: HashSet<ChangeId>,
    failed: Option<E>,
}

struct Node<N, R> {
    rows: N,
    head: Option<R>,
}

impl<N: Iterator<Item = Result<R, E>>, R: Aligned, E> Interleave<N, R, E> {
    /// `nodes` in the order of their names, and in the same order as the lists that `order` was merged from. For one node `order` is empty,
    /// and its rows come as they are.
    pub(super) fn new(nodes: Vec<N>, order: Vec<KnownChange>) -> Self {
        let nodes: Vec<_> = nodes.into_iter().map(|rows| Node { rows, head: None }).collect();
        let (given, failed) = (HashSet::new(), None);
        let mut all = Self { nodes, order, next: 0, given, failed };
        (0..all.nodes.len()).for_each(|node| all.read_on(node));
        all
    }

    /// The rows of each node.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &N> {
        self.nodes.iter().map(|node| &node.rows)
    }

    fn read_on(&mut self, node: usize) {
        let Some(Node { rows, head }) = self.nodes.get_mut(node) else { return };
        *head = loop {
            match rows.next() {
                Some(Ok(row)) if row.change().is_some_and(|id| self.given.contains(&id)) => {}
                Some(Ok(row)) => break Some(row),
                Some(Err(error)) => {
                    self.failed.get_or_insert(error);
                    break None;
                }
                None => break None,
            }
        };
    }

    fn take(&mut self, node: usize) -> Option<R> {
        let row = self.nodes.get_mut(node)?.head.take();
        self.read_on(node);
        row
    }

    /// The node that has the next lookup before the next change, if one does.
    fn next_lookup(&self) -> Option<usize> {
        let change = self.order.get(self.next);
        let heads = self.nodes.iter().enumerate();
        let heads = heads.filter_map(|(node, it)| Some((node, it.head.as_ref()?)));
        let is_before = |(node, row): &(usize, &R)| {
            let is_before =
                |change: &KnownChange| change.is_recorded_by(*node) || row.at() < change.decided;
            row.change().is_none() && change.is_none_or(is_before)
        };
        let next = heads.filter(is_before).min_by_key(|(node, row)| (row.at(), *node))?;
        Some(next.0)
    }

    /// The record of a change from every node that comes to it next, as one, with the earliest instant.
    fn take_change(&mut self, id: ChangeId) -> Option<R> {
        if self.nodes.len() > 1 {
            self.given.insert(id);
        }
        let is_next = |it: &Node<N, R>| it.head.as_ref().and_then(R::change) == Some(id);
        let nodes: Vec<_> =
            (0..self.nodes.len()).filter(|node| is_next(&self.nodes[*node])).collect();
        let rows: Vec<_> = nodes.into_iter().filter_map(|node| self.take(node)).collect();
        rows.into_iter().min_by_key(R::at)
    }
}

impl<N: Iterator<Item = Result<R, E>>, R: Aligned, E> Iterator for Interleave<N, R, E> {
    type Item = Result<R, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            if let Some(node) = self.next_lookup() {
                return self.take(node).map(Ok);
            }
            let Some(KnownChange { id, at, .. }) = self.order.get(self.next) else { break };
            let (id, at) = (*id, *at);
            self.next += 1;
            // None gives it if it lies behind the rows asked for, or has expired since.
            if let Some(row) = self.take_change(id) {
                return Some(Ok(row.moved_to(at)));
            }
        }
        let heads = self.nodes.iter().filter_map(|node| node.head.as_ref());
        let next = heads.filter_map(R::change).min()?;
        self.take_change(next).map(Ok)
    }
}

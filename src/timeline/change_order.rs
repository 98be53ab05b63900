//! The changes of one handle in the order in which all nodes applied them.

use std::collections::{HashMap, VecDeque};

use crate::{clock::Timestamp, ids::ChangeId};

/// The changes that one node recorded, in its order, each with its instant there.
pub(super) type Recorded = Vec<(ChangeId, Timestamp)>;

/// A change that at least one node recorded.
#[derive(Clone, Debug)]
pub(super) struct KnownChange {
    pub(super) id: ChangeId,
    /// When the first node recorded it, by that node's clock.
    pub(super) at: Timestamp,
    /// No record of a node that showed the change is earlier.
    pub(super) decided: Timestamp,
    has: Vec<bool>,
}

impl KnownChange {
    /// Whether the node at this place recorded it.
    pub(super) fn is_recorded_by(&self, node: usize) -> bool {
        self.has.get(node).copied().unwrap_or_default()
    }
}

/// Merges what the nodes recorded. A change that was decided from `fresh` on is left out if not all nodes have it, and so are all behind
/// it: the others may be about to record it.
///
/// Every node records in the order of the shared log, so each list is a part of the same whole. Where one list lacks a change that
/// another has, the instants of the decisions tell the order, which the ids hold.
pub(super) fn merge(lists: &[Recorded], fresh: Timestamp) -> Vec<KnownChange> {
    let mut known = HashMap::<ChangeId, KnownChange>::new();
    for (node, list) in lists.iter().enumerate() {
        for &(id, at) in list {
            let decided = Timestamp::from_micros(id.decided_us());
            let new = || KnownChange { id, at, decided, has: vec![false; lists.len()] };
            let change = known.entry(id).or_insert_with(new);
            change.at = change.at.min(at);
            change.decided = change.decided.min(change.at);
            change.has[node] = true;
        }
    }
    let mut left: Vec<VecDeque<_>> =
        lists.iter().map(|list| list.iter().map(|(id, _)| *id).collect()).collect();
    let mut order = Vec::with_capacity(known.len());
    while !known.is_empty() {
        for list in &mut left {
            // A crash may leave a record twice.
            while list.front().is_some_and(|id| !known.contains_key(id)) {
                list.pop_front();
            }
        }
        let is_first = |id: &ChangeId| {
            let of = |node: usize| known.get(id).is_some_and(|change| change.is_recorded_by(node));
            left.iter().enumerate().all(|(node, list)| !of(node) || list.front() == Some(id))
        };
        let fronts = || left.iter().filter_map(|list| list.front().copied());
        // Two nodes that contradict each other are none of one cluster. Then the decisions alone tell the order.
        let by_time = |id: &ChangeId| (known.get(id).map(|change| change.decided), *id);
        let first = fronts().filter(is_first).min_by_key(by_time);
        let next = first.or_else(|| fronts().min_by_key(by_time));
        order.extend(next.and_then(|id| known.remove(&id)));
    }
    let is_on_its_way =
        |change: &KnownChange| fresh <= change.decided && change.has.contains(&false);
    if let Some(first) = order.iter().position(is_on_its_way) {
        order.truncate(first);
    }
    order
}

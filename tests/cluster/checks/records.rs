//! The one order of changes, put together from what the nodes recorded.
//!
//! A node that took the state of another one over has no records of what it missed. But some node applied each change, and recorded it. So
//! the order is known also if no node has all of it: what one node lacks stands in another one between records that both have.

use std::collections::{BTreeSet, HashMap};

use super::{Fault, Wrong};
use crate::history::Recorded;

/// A change with its number, which is the same at each node.
pub(crate) type Numbered = (u64, Recorded);

/// The changes that a node recorded, in its order, and whether they are all.
pub(crate) type Records = (Vec<Numbered>, bool);

/// Why records have no one order.
enum Unordered {
    /// They contradict each other.
    Contradiction,
    /// Two nodes recorded something in the same gap that the other one lacks: nobody knows which came first.
    Unknown,
}

/// All changes in their order, if it is known. Finds nodes that recorded other changes than the rest, or the same ones in another order.
pub(super) fn order(records: &[Records]) -> (Option<Vec<Recorded>>, Vec<Fault>) {
    let all = match merge(records) {
        Ok(all) => all,
        Err(Unordered::Unknown) => return (None, Vec::new()),
        Err(Unordered::Contradiction) => {
            let text = "nodes recorded other changes, or the same ones in another order";
            return (None, vec![Fault::new(Wrong::Disagreement, text)]);
        }
    };
    let mut faults = Vec::new();
    for ((of, is_complete), node) in records.iter().zip(0..) {
        if *is_complete && of.len() != all.len() {
            let text = format!("node {node} recorded {} changes of {}", of.len(), all.len());
            faults.push(Fault::new(Wrong::Disagreement, text));
        }
    }
    (Some(all.into_iter().map(|(_, change)| change).collect()), faults)
}

fn merge(records: &[Records]) -> Result<Vec<Numbered>, Unordered> {
    let places = |(of, _): &Records| -> HashMap<u64, usize> {
        of.iter().map(|(id, _)| *id).zip(0..).collect()
    };
    let places: Vec<_> = records.iter().map(places).collect();
    let (mut next, mut all) = (vec![0; records.len()], Vec::new());
    loop {
        let heads = || records.iter().zip(&next).map(|((of, _), next)| of.get(*next).copied());
        let is_first = |(id, _): &Numbered| {
            // No node has it behind something that is not in the order yet.
            places.iter().zip(&next).all(|(of, next)| of.get(id).is_none_or(|at| at == next))
        };
        let first: BTreeSet<_> = heads().flatten().filter(is_first).collect();
        let change = match first.len() {
            0 if heads().flatten().next().is_none() => return Ok(all),
            1 => first.into_iter().next(),
            0 => return Err(Unordered::Contradiction),
            // Each of these nodes lacks what another one has.
            _ if records.iter().any(|(_, is_complete)| *is_complete) => {
                return Err(Unordered::Contradiction);
            }
            _ => return Err(Unordered::Unknown),
        };
        let found: Vec<_> = heads().map(|head| head == change).collect();
        next.iter_mut().zip(found).for_each(|(next, found)| *next += usize::from(found));
        all.extend(change);
    }
}

//! Compares what the nodes recorded.

use super::{Fault, Wrong};
use crate::history::Recorded;

/// The changes that a node recorded, in its order, and whether they are all: a node that took the state of another one over has no
/// records of what it missed.
pub(crate) type Records = (Vec<Recorded>, bool);

/// Finds nodes that recorded other changes than the rest, or the same ones in another order. Returns the longest complete records, too, if
/// there are any.
pub(super) fn compare(records: &[Records]) -> (Option<&[Recorded]>, Vec<Fault>) {
    let complete = records.iter().filter(|(_, is_complete)| *is_complete);
    let all = complete.max_by_key(|(of, _)| of.len()).map(|(of, _)| of.as_slice());
    let mut faults = Vec::new();
    for ((of, is_complete), node) in records.iter().zip(0..) {
        let Some(all) = all else { break };
        let mut rest = all.iter();
        let fits = of.iter().all(|change| rest.any(|other| other == change));
        if !fits || (*is_complete && of.len() != all.len()) {
            let same = all.iter().zip(of).take_while(|(one, two)| one == two).count();
            let text = format!(
                "node {node} recorded {} changes and another one {}; they agree up to number {same}",
                of.len(),
                all.len()
            );
            faults.push(Fault::new(Wrong::Disagreement, text));
        }
    }
    (all, faults)
}

//! Compares what the nodes recorded.

use super::{Fault, Wrong};
use crate::history::Recorded;

/// The changes that a node recorded, in its order.
pub(crate) type Records = Vec<Recorded>;

/// Finds nodes that recorded other changes than node 0, or the same ones in another order. Returns the longest records, too.
pub(super) fn compare(records: &[Records]) -> (&[Recorded], Vec<Fault>) {
    let longest = records.iter().max_by_key(|of| of.len()).map_or(&[][..], Vec::as_slice);
    let mut faults = Vec::new();
    for (of, node) in records.iter().zip(0..) {
        if of != longest {
            let same = longest.iter().zip(of).take_while(|(one, two)| one == two).count();
            let text = format!(
                "node {node} recorded {} changes and another one {}; they agree up to number {same}",
                of.len(),
                longest.len()
            );
            faults.push(Fault::new(Wrong::Disagreement, text));
        }
    }
    (longest, faults)
}

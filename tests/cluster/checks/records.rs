//! Compares what the nodes recorded, and makes the one order of it.

use std::collections::BTreeMap;

use super::{Fault, Wrong};
use crate::history::Recorded;

/// What a node recorded: the changes of each entry, by a text that sorts as entries do.
pub(crate) type Records = BTreeMap<String, Vec<Recorded>>;

/// Whether a node may lack entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// Every node records every change.
    Never,
    /// A node that was given a copy of the registry has no records of what it missed.
    AfterCopies,
}

/// The changes in their one order, and where the nodes contradict each other.
pub(super) fn merge(records: &[Records], gaps: Gaps) -> (Vec<Recorded>, Vec<Fault>) {
    let mut merged = Records::new();
    let mut faults = Vec::new();
    for (of, node) in records.iter().zip(0..) {
        for (place, changes) in of {
            let first = merged.entry(place.clone()).or_insert_with(|| changes.clone());
            if first != changes {
                let text = format!("node {node} recorded other changes at {place}");
                faults.push(Fault::new(Wrong::Disagreement, text));
            }
        }
    }
    for (of, node) in records.iter().zip(0..) {
        let missing = merged.len() - of.len();
        if missing > 0 && gaps == Gaps::Never {
            let text = format!("node {node} lacks {missing} of {} entries", merged.len());
            faults.push(Fault::new(Wrong::Disagreement, text));
        }
    }
    (merged.into_values().flatten().collect(), faults)
}

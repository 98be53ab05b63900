//! Which entries of the shared log no node needs any more.

use crate::limits;

/// A node, as far as trimming is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its number.
    pub(super) node: u64,
    /// Whether it answers and is ready: one that is held or has stopped trims nothing.
    pub(super) trims: bool,
    /// The place of the last entry that it is known to have applied. None if it never told.
    pub(super) applied: Option<u64>,
}

/// Whether the node numbered `own` is the one that trims: of the nodes that answer and are ready it has the least number. Two that think so at once do no
/// harm: each trims only what all nodes have.
pub(super) fn is_mine(own: u64, all: &[Known]) -> bool {
    all.iter().filter(|known| known.trims).all(|known| own <= known.node)
}

/// The place below which entries may go: what every node has applied. Nodes that are away hold entries back, but not more than the engine
/// has space for: they take a snapshot when they return.
pub(super) fn below(all: &[Known]) -> u64 {
    let newest = all.iter().filter_map(|known| known.applied).max().unwrap_or(0);
    let kept = newest.saturating_sub(limits::CLUSTER_ENTRIES_KEPT_MAX);
    let away = all.iter().map(|known| known.applied.unwrap_or(0)).min().unwrap_or(0);
    away.max(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(node: u64, trims: bool, applied: Option<u64>) -> Known {
        Known { node, trims, applied }
    }

    #[test]
    fn the_ready_node_with_the_least_number_trims() {
        let all = [known(1, false, None), known(2, true, Some(7)), known(3, true, Some(7))];
        assert!(is_mine(2, &all) && !is_mine(3, &all));
        assert!(is_mine(5, &[]));
    }

    #[test]
    fn what_a_node_lacks_stays_until_there_is_too_much_of_it() {
        let most = limits::CLUSTER_ENTRIES_KEPT_MAX;
        let with = |away| {
            [
                known(1, true, Some(most + 100)),
                known(2, false, away),
                known(3, true, Some(most + 90)),
            ]
        };
        assert_eq!(below(&with(Some(most + 80))), most + 80);
        assert_eq!(below(&with(Some(7))), 100, "it takes a snapshot when it returns");
        assert_eq!(below(&with(None)), 100);
        assert_eq!(below(&[known(1, true, Some(50)), known(2, true, None)]), 0);
        assert_eq!(below(&[]), 0);
    }
}

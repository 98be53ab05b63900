//! Whether this node's clock agrees with those of the other nodes.
//!
//! Entries are ordered by their places, whatever the clocks show. But leases lapse and hours of the log expire by the clock of the node that
//! decides. So a node whose clock is far from the others' must decide nothing: a client of it would see phones go silent too early or too
//! late.

use std::time::Duration;

use crate::limits;

/// The nodes, this one included, whose clocks must be known to say that one is wrong.
const CLOCKS_MIN: usize = 3;

/// How far another clock is ahead of this one, in microseconds, if the round trip was short enough to tell. `sent` and `received` are
/// readings of this clock.
pub(super) fn ahead(sent_us: u64, received_us: u64, other_us: u64) -> Option<i64> {
    let round_trip = received_us.checked_sub(sent_us)?;
    // Half of it is the greatest error.
    let is_short = Duration::from_micros(round_trip) <= limits::CLUSTER_CLOCK_ROUND_TRIP_MAX;
    let middle = sent_us + round_trip / 2;
    is_short.then(|| other_us.cast_signed().wrapping_sub(middle.cast_signed()))
}

/// Whether this clock agrees with the median of all clocks. `others` tells how far each other one is ahead, in microseconds. None if too few
/// are known.
pub(super) fn agrees(others: &[i64]) -> Option<bool> {
    let mut all = [others, &[0]].concat();
    if all.len() < CLOCKS_MIN {
        return None;
    }
    all.sort_unstable();
    // Of an even number the mean of the two in the middle.
    let middle = all.len() / 2;
    let median = all[middle].midpoint(all[(all.len() - 1) / 2]);
    Some(Duration::from_micros(median.unsigned_abs()) <= limits::CLUSTER_CLOCK_DIFFERENCE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    #[test]
    fn a_clock_is_wrong_when_it_is_far_from_the_median_of_three_or_more() {
        assert_eq!(agrees(&[]), None);
        assert_eq!(agrees(&[9_000 * MS]), None, "two clocks do not tell which one is wrong");
        assert_eq!(agrees(&[500 * MS, 500 * MS]), Some(true));
        assert_eq!(agrees(&[501 * MS, 501 * MS]), Some(false));
        assert_eq!(agrees(&[-501 * MS, -9_000 * MS]), Some(false));
        assert_eq!(agrees(&[9_000 * MS, 0]), Some(true), "another one is wrong");
        assert_eq!(agrees(&[9_000 * MS, -9_000 * MS]), Some(true));
        assert_eq!(agrees(&[0, 1_000 * MS, 1_000 * MS]), Some(true));
        assert_eq!(agrees(&[2 * MS, 1_001 * MS, 1_000 * MS]), Some(false));
    }

    #[test]
    fn a_long_round_trip_tells_nothing() {
        assert_eq!(ahead(1_000, 3_000, 7_000), Some(5_000));
        assert_eq!(ahead(1_000, 3_000, 1_000), Some(-1_000));
        assert_eq!(ahead(3_000, 1_000, 1_000), None, "the clock was set back meanwhile");
        assert_eq!(ahead(0, 200_000, 100_000), Some(0));
        assert_eq!(ahead(0, 200_001, 100_000), None);
    }
}

//! Whether this node's clock agrees with those of the other nodes.
//!
//! Entries are ordered by their places, whatever the clocks show. But leases lapse and hours of the log expire by the clock of the node that
//! decides. So a node whose clock is far from the others' must decide nothing: a client of it would see phones go silent too early or too
//! late.
//!
//! # The rule
//!
//! A node counts all clocks that it knows, its own included. Its clock is wrong if at least half of them are more than
//! [`limits::CLUSTER_CLOCK_DIFFERENCE_MAX`] ahead of it, or at least half are more than that behind it. In other words: it must be that near to
//! the median, and of an even number to both clocks in the middle. What follows from it:
//!
//! - As long as more than half of the clocks are right, a node with a wrong one takes no changes, and the others do.
//! - Of two clocks nobody can tell which is wrong. If they are too far apart, neither node takes changes.
//! - Two nodes that know the same clocks and take changes are at most twice the limit apart.

use std::time::Duration;

use crate::limits;

/// How far another clock is ahead of this one, in microseconds, if the round trip was short enough to tell. `sent` and `received` are
/// readings of this clock.
pub(super) fn ahead(sent_us: u64, received_us: u64, other_us: u64) -> Option<i64> {
    let round_trip = received_us.checked_sub(sent_us)?;
    // Half of it is the greatest error.
    let is_short = Duration::from_micros(round_trip) <= limits::CLUSTER_CLOCK_ROUND_TRIP_MAX;
    let middle = sent_us + round_trip / 2;
    is_short.then(|| other_us.cast_signed().wrapping_sub(middle.cast_signed()))
}

/// Whether this clock is right by [the rule](self). `others` tells how far each other one is ahead, in microseconds. None if no other one is
/// known.
pub(super) fn agrees(others: &[i64]) -> Option<bool> {
    let far_us =
        i64::try_from(limits::CLUSTER_CLOCK_DIFFERENCE_MAX.as_micros()).unwrap_or(i64::MAX);
    let ahead = others.iter().filter(|us| **us > far_us).count();
    let behind = others.iter().filter(|us| **us < -far_us).count();
    (!others.is_empty()).then(|| 2 * ahead.max(behind) < others.len() + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: i64 = 1_000;
    /// The greatest difference, in milliseconds.
    const FAR: i64 = 500;

    #[test]
    fn a_clock_is_wrong_when_half_of_all_are_far_ahead_or_far_behind() {
        for (others, expected) in [
            (&[][..], None),
            (&[500], Some(true)),
            // Nobody can tell which one is wrong.
            (&[501], Some(false)),
            (&[-2_000], Some(false)),
            (&[500, 500], Some(true)),
            (&[501, 501], Some(false)),
            (&[-501, -9_000], Some(false)),
            // Another one is wrong.
            (&[9_000, 0], Some(true)),
            (&[9_000, -9_000], Some(true)),
            (&[0, 0, 9_000], Some(true)),
            // Two against two.
            (&[0, 2_000, 2_000], Some(false)),
            (&[0, 501, -501], Some(true)),
        ] {
            let in_us: Vec<_> = others.iter().map(|ms| ms * MS).collect();
            assert_eq!(agrees(&in_us), expected, "{others:?}");
        }
    }

    /// What each of these clocks says of itself.
    fn judged(clocks: &[i64]) -> Vec<bool> {
        let judge = |own: usize| {
            let others = clocks.iter().enumerate().filter(|(at, _)| *at != own);
            let others: Vec<_> = others.map(|(_, clock)| (clock - clocks[own]) * MS).collect();
            agrees(&others).unwrap_or(true)
        };
        (0..clocks.len()).map(judge).collect()
    }

    proptest! {
        #[test]
        fn the_rule_is_that_of_the_median(clocks in prop::collection::vec(-1_500..1_500_i64, 1..8)) {
            let good = judged(&clocks);
            let mut sorted = clocks.clone();
            sorted.sort_unstable();
            let middle = [sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]];
            for (clock, is_good) in clocks.iter().zip(&good) {
                let is_near = middle.iter().all(|it| (clock - it).abs() <= FAR);
                prop_assert_eq!(*is_good, is_near, "{} of {:?}", clock, clocks);
            }
            let good: Vec<_> = clocks.iter().zip(good).filter(|it| it.1).map(|it| *it.0).collect();
            let apart = good.iter().max().zip(good.iter().min()).map_or(0, |(max, min)| max - min);
            prop_assert!(apart <= 2 * FAR, "{:?} of {:?} take changes", good, clocks);
        }

        #[test]
        fn wrong_clocks_that_are_fewer_stop_nobody_else(
            right in prop::collection::vec(-FAR / 2..=FAR / 2, 2..6),
            wrong in prop::collection::vec(prop_oneof![-90_000..-2 * FAR, 2 * FAR..90_000], 0..5),
        ) {
            prop_assume!(wrong.len() < right.len());
            let good = judged(&[right.as_slice(), &wrong].concat());
            prop_assert!(good[..right.len()].iter().all(|is_good| *is_good), "{:?} {:?}", right, wrong);
            prop_assert!(good[right.len()..].iter().all(|is_good| !is_good), "{:?} {:?}", right, wrong);
        }
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

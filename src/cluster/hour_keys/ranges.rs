//! [`HourRanges`]: which hours a node holds, in few words.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Hour;

/// Hours, as the first and the last number of each run of them. A node that is asked something each hour has one run for each era.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Vec<Vec<u32>>)]
pub struct HourRanges(Vec<(u32, u32)>);

impl HourRanges {
    /// These hours and no other.
    pub fn of(hours: &BTreeSet<Hour>) -> Self {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for number in hours.iter().map(|hour| hour.number()) {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                _ => runs.push((number, number)),
            }
        }
        Self(runs)
    }

    /// How many runs of hours there are.
    pub(super) const fn runs(&self) -> usize {
        self.0.len()
    }

    /// Whether the hour is one of them.
    pub fn contains(&self, hour: Hour) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&hour.number()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_exactly_their_hours(numbers in proptest::collection::btree_set(0..40_u32, 0..30)) {
            let hours: BTreeSet<_> = numbers.iter().copied().map(Hour::from_number).collect();
            let ranges = HourRanges::of(&hours);
            for number in 0..41 {
                prop_assert_eq!(ranges.contains(Hour::from_number(number)), numbers.contains(&number));
            }
            let text = serde_json::to_string(&ranges).unwrap();
            prop_assert_eq!(serde_json::from_str::<HourRanges>(&text).unwrap(), ranges);
        }
    }

    #[test]
    fn a_run_is_one_range() {
        let hours = [5, 6, 7, u32::MAX].map(Hour::from_number).into();
        assert_eq!(
            serde_json::to_string(&HourRanges::of(&hours)).unwrap(),
            "[[5,7],[4294967295,4294967295]]"
        );
    }
}

//! [`KeyRows`]: the rows about keys of entries, which all nodes have: which keys there are, and when each was made.
//!
//! ```text
//! key                                   value
//! "wanted"                              nothing: a node was removed, and has the keys that there are
//! u32 number                            u64 microseconds: when the key was made, by the clock of the node that made it
//! u32 number · u64 node                 the key, sealed to this member
//! ```
//!
//! Numbers are a sequence: each key has the next one. A row whose number does not continue it is about no key: who plants one with a far
//! number changes nothing.
//!
//! A clock may have been wrong when a key was made. So a key counts as made at the *least* time that stands beside it and all later ones: it
//! is never younger than its successor. If the newest one was made in the future, a next one is made at once, and so bounds its age.
//!
//! Registries before that have no times, and the number of a key is the hour in which it was made. They go on from there.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    clock::Timestamp,
    limits,
    operators::NEW_KEY_WANTED,
    registry::{NodeId, Registry, RowKind, Rows},
};

/// Where the numbers of receiving keys begin: no key of entries has such a number.
pub(super) const RECEIVING: u32 = 1 << 31;

/// Which keys of entries there are, by the rows of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRows {
    made: BTreeMap<u32, Timestamp>,
    sealed: Vec<(u32, NodeId)>,
    /// Whether a node was removed since the last key was made.
    is_wanted: bool,
}

impl KeyRows {
    /// Those that `registry` shows, also before it is loaded.
    pub fn seen(registry: &Registry) -> Self {
        let mut seen = Self::default();
        registry.rows_so_far().each(RowKind::EntryKey, |key, row| seen.add(key, row));
        seen
    }

    /// Those that a plan finds.
    pub fn of(rows: &Rows<'_>) -> Self {
        let mut found = Self::default();
        rows.all(RowKind::EntryKey).iter().for_each(|(key, row)| found.add(key, row));
        found
    }

    /// Adds a row. One that was never written, or with the number of a receiving key, is left out.
    pub fn add(&mut self, key: &[u8], row: &[u8]) {
        self.is_wanted |= key == NEW_KEY_WANTED;
        let Some((number, rest)) = key.split_first_chunk() else { return };
        let number = u32::from_be_bytes(*number);
        if RECEIVING <= number {
            return;
        }
        if let (true, Ok(micros)) = (rest.is_empty(), row.try_into()) {
            self.made.insert(number, Timestamp::from_micros(u64::from_be_bytes(micros)));
        } else if let Ok(node) = rest.try_into() {
            self.sealed.push((number, NodeId(u64::from_be_bytes(node))));
        }
    }

    /// Which key is sealed to which member.
    pub(super) fn sealed(&self) -> &[(u32, NodeId)] {
        &self.sealed
    }

    /// The numbers of which the times are known.
    pub(super) fn timed(&self) -> impl Iterator<Item = u32> {
        self.made.keys().copied()
    }

    /// The number of the last key that there is, for a node whose newest key is `newest`.
    pub(super) fn last(&self, newest: u32, now: Timestamp) -> u32 {
        if self.made.is_empty() {
            let is_told = |number: &u32| !is_future(hour(*number), now);
            let told = self.sealed.iter().map(|(number, _)| *number).filter(is_told);
            return told.fold(newest, u32::max);
        }
        let mut last = newest;
        while self.made.contains_key(&(last + 1)) {
            last += 1;
        }
        last
    }

    /// Whether `number` is that of a key that a node whose newest key is `newest` does not have yet.
    pub(super) fn is_to_come(&self, number: u32, newest: u32, now: Timestamp) -> bool {
        newest < number && number <= self.last(newest, now)
    }

    /// Whether the key `second` is the one right behind `first`.
    pub(super) fn follows(&self, first: u32, second: u32) -> bool {
        first + 1 == second || self.made.is_empty()
    }

    /// Whether members may write under a key, if all of them have the key `everywhere`: that one, the one before it, or a newer one. Of keys
    /// without times nobody can tell.
    pub(super) fn is_usable(&self, number: u32, everywhere: u32) -> bool {
        let is_in_use =
            || everywhere <= number + 1 && number <= self.last(everywhere, Timestamp::EPOCH);
        !self.made.contains_key(&everywhere) || is_in_use()
    }

    /// The latest moment at which the key was made. None if it is not known, or lies in the future of a key that has no time.
    fn made_at(&self, number: u32, newest: u32, now: Timestamp) -> Option<Timestamp> {
        let last = self.last(newest, now);
        let later = self.made.range(number..).filter(|(it, _)| **it <= last);
        let least = later.map(|(_, at)| *at).min();
        let told = (number <= last && !self.made.contains_key(&number)).then(|| hour(number));
        least.into_iter().chain(told.filter(|told| !is_future(*told, now))).min()
    }

    /// Whether the key was made more than `age` ago.
    pub(super) fn is_old(&self, number: u32, newest: u32, age: Duration, now: Timestamp) -> bool {
        self.made_at(number, newest, now).is_some_and(|made_at| made_at.plus(age) <= now)
    }

    /// Whether the key behind the last one is to be made now. `published` is the newest key that some member has. A key that nobody has some
    /// time after it was made cannot be opened, so it replaces none.
    pub(super) fn is_next_due(&self, newest: u32, published: u32, now: Timestamp) -> bool {
        let last = self.last(newest, now);
        let Some(made_at) = self.made_at(last, newest, now) else { return true };
        let is_worn = made_at.plus(limits::CLUSTER_KEY_LIFETIME) <= now || is_future(made_at, now);
        let is_useless = published < last && made_at.plus(limits::CLUSTER_KEY_PATIENCE) <= now;
        self.is_wanted || is_worn || is_useless
    }
}

/// Says when the key with this number was made.
pub(super) fn put_time(rows: &mut Rows<'_>, number: u32, made_at: Timestamp) {
    let micros = made_at.as_micros().to_be_bytes().to_vec();
    rows.put(RowKind::EntryKey, &number.to_be_bytes(), None, micros);
}

/// Removes what says when the key with this number was made.
pub(super) fn remove_time(rows: &mut Rows<'_>, number: u32) {
    rows.remove(RowKind::EntryKey, &number.to_be_bytes());
}

/// The key of the row with a key of entries that is sealed to a member.
pub(super) fn sealed_to(number: u32, node: NodeId) -> Vec<u8> {
    [&number.to_be_bytes()[..], &node.0.to_be_bytes()].concat()
}

/// The begin of the hour that a number tells, if no time stands beside it.
fn hour(number: u32) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(u64::from(number) * 3_600))
}

/// Whether no node whose clock agrees with this one's can have decided at `at`.
fn is_future(at: Timestamp, now: Timestamp) -> bool {
    now.plus(limits::CLUSTER_ENTRY_AHEAD_MAX) < at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = limits::CLUSTER_KEY_LIFETIME;
    const AGE: Duration = limits::CLUSTER_KEY_AGE_MAX;

    fn at(days: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000).plus(DAY * u32::try_from(days).unwrap())
    }

    fn made(times: &[(u32, u64)]) -> KeyRows {
        let mut rows = KeyRows::default();
        for (number, days) in times {
            let micros = at(*days).as_micros().to_be_bytes();
            rows.add(&number.to_be_bytes(), &micros);
        }
        rows
    }

    #[test]
    fn rows_are_read_as_they_are_written_and_others_are_left_out() {
        let mut rows = KeyRows::default();
        for number in [RECEIVING, u32::MAX] {
            rows.add(&number.to_be_bytes(), &[0; 8]);
            rows.add(&sealed_to(number, NodeId(1)), &[0; 80]);
        }
        rows.add(&1_u32.to_be_bytes(), &[0; 7]);
        rows.add(b"x", b"");
        rows.add(b"", b"");
        assert_eq!(rows, KeyRows::default());
        rows.add(NEW_KEY_WANTED, b"");
        rows.add(&sealed_to(RECEIVING - 1, NodeId(2)), b"x");
        rows.add(&7_u32.to_be_bytes(), &at(1).as_micros().to_be_bytes());
        assert!(rows.is_wanted && rows.sealed() == [(RECEIVING - 1, NodeId(2))]);
        assert_eq!(rows.made, BTreeMap::from([(7, at(1))]));
    }

    #[test]
    fn only_numbers_that_continue_the_sequence_are_of_keys() {
        let rows = made(&[(3, 0), (4, 1), (5, 2), (7, 3), (1 << 30, 4)]);
        let last = |newest| rows.last(newest, at(9));
        assert_eq!([1, 2, 3, 5, 6, 8].map(last), [1, 5, 5, 5, 7, 8]);
        assert_eq!(
            [3, 4, 5, 6, 7].map(|it| rows.is_to_come(it, 3, at(9))),
            [false, true, true, false, false]
        );
        assert!(rows.follows(3, 4) && !rows.follows(3, 5) && KeyRows::default().follows(3, 27));
        let usable = [2, 3, 4, 5, 6, 7].map(|number| rows.is_usable(number, 4));
        assert_eq!(usable, [false, true, true, true, false, false]);
        assert!(rows.is_usable(1, 2), "the key that all have has no time");
    }

    #[test]
    fn a_key_is_never_younger_than_its_successor() {
        let rows = made(&[(3, 0), (4, 400), (5, 2), (9, 0)]);
        let made_at = |number| rows.made_at(number, 3, at(10));
        assert_eq!(
            [3, 4, 5, 6, 9].map(made_at),
            [Some(at(0)), Some(at(2)), Some(at(2)), None, None]
        );
        let is_old = |number, days| rows.is_old(number, 5, AGE, at(days));
        assert!(is_old(4, 32) && !is_old(4, 31) && is_old(3, 30) && !is_old(3, 29));
        // Its time was removed, since it is older than any key may be.
        assert!(is_old(2, 0));
    }

    #[test]
    fn the_next_key_is_due_a_day_later_or_if_the_last_one_is_of_the_future_or_nobodys() {
        let rows = made(&[(1, 5)]);
        let is_due = |at| rows.is_next_due(1, 1, at);
        let ahead = limits::CLUSTER_ENTRY_AHEAD_MAX;
        assert!(!is_due(at(5)) && is_due(at(6)) && !is_due(at(6).moved(-1)));
        assert!(!is_due(at(5).minus(ahead)) && is_due(at(5).minus(ahead).moved(-1)));
        let patience = limits::CLUSTER_KEY_PATIENCE;
        let is_due = |published, at| rows.is_next_due(0, published, at);
        assert!(is_due(0, at(5).plus(patience)) && !is_due(0, at(5)));
        assert!(!is_due(1, at(5).plus(patience)));
        let mut wanted = rows.clone();
        wanted.add(NEW_KEY_WANTED, b"");
        assert!(wanted.is_next_due(1, 1, at(5)));
        assert!(KeyRows::default().is_next_due(1, 1, at(5)), "nobody knows when it was made");
    }

    #[test]
    fn without_times_a_number_tells_the_hour_unless_it_is_in_the_future() {
        let now = at(10);
        let this_hour = u32::try_from(now.as_secs() / 3_600).unwrap();
        let mut rows = KeyRows::default();
        for number in [this_hour, this_hour + 1_000] {
            rows.add(&sealed_to(number, NodeId(1)), b"sealed");
        }
        assert_eq!(rows.last(this_hour - 24, now), this_hour);
        assert!(rows.is_old(this_hour - 30 * 24, this_hour, AGE, now));
        assert!(!rows.is_old(this_hour - 29 * 24, this_hour, AGE, now));
        assert!(!rows.is_next_due(this_hour - 23, this_hour, now));
        // A key of the future is replaced at once, and that bounds its age.
        let newest = this_hour + 9_000;
        assert!(rows.is_next_due(newest, newest, now));
        assert!(!rows.is_old(newest, newest, AGE, now));
        rows.add(&(newest + 1).to_be_bytes(), &now.as_micros().to_be_bytes());
        assert_eq!(rows.last(newest, now), newest + 1);
        assert!(rows.is_old(newest, newest + 1, AGE, now.plus(AGE)));
    }

    proptest! {
        /// Keys made by clocks that are years off, planted rows beside them; then the clocks are right.
        #[test]
        fn once_clocks_are_right_keys_change_in_time_and_end_in_time(
            wrong in prop::collection::vec(0..2_000_u64, 1..8),
            planted in prop::collection::vec((20..40_u32, 0..2_000_u64), 0..4),
            right in 800..1_200_u64,
        ) {
            let times: Vec<_> = (1..).zip(wrong).chain(planted).collect();
            let mut rows = made(&times);
            let newest = rows.last(1, at(right));
            let (mut last, mut days) = (newest, BTreeMap::new());
            // One round a day.
            for day in right..=right + 31 {
                if rows.is_next_due(last, last, at(day)) {
                    last = rows.last(last, at(day)) + 1;
                    rows.made.retain(|number, _| *number < last);
                    rows.add(&last.to_be_bytes(), &at(day).as_micros().to_be_bytes());
                    days.insert(last, day);
                }
                prop_assert!(!rows.is_next_due(last, last, at(day)), "one change is enough");
                prop_assert!(newest < last || day == right, "it is used for longer than a day");
                for (number, made) in &days {
                    let is_old = rows.is_old(*number, last, AGE, at(day));
                    prop_assert_eq!(is_old, made + 30 <= day);
                }
            }
            for number in 1..=newest {
                prop_assert!(rows.is_old(number, last, AGE, at(right + 31)), "{} of {:?}", number, rows);
            }
        }
    }
}

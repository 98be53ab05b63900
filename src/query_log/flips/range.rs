//! [`Ranges`]: the ranges of handles, one after another. How far the next one goes.

use super::{super::segment::HandleRange, kept::Kept, states::States};
use crate::handle::Handle;

/// A range grows to this many times the one before it at most: what that one was like says little about more.
const GROWTH_MAX: u128 = 4;

/// What is read once for each range.
pub(in crate::query_log) trait RangedLog {
    type Error;

    /// Takes all rows that are within the range of `states`. False if it was stopped before.
    fn visit<K: Kept>(&mut self, states: &mut States<K>) -> Result<bool, Self::Error>;

    /// Handles that divide the rows about evenly, if any are known: otherwise ranges are cut more often.
    fn milestones(&self) -> Vec<Handle>;
}

/// The ranges that are left.
#[derive(Debug)]
pub(in crate::query_log) struct Ranges {
    budget: usize,
    /// None at the end.
    next: Option<HandleRange>,
    milestones: Option<Vec<Handle>>,
}

impl Ranges {
    /// Those behind a handle, each with about `budget` bytes of what is kept.
    pub(in crate::query_log) const fn new(after: Option<Handle>, budget: usize) -> Self {
        Self { budget, next: Some(HandleRange { after, upto: None }), milestones: None }
    }

    /// What is kept of the handles of the next range, ascending. None at the end, and if it was stopped.
    pub(in crate::query_log) fn next<K: Kept, L: RangedLog>(
        &mut self,
        log: &mut L,
    ) -> Result<Option<Vec<K>>, L::Error> {
        let Some(range) = self.next.take() else { return Ok(None) };
        let mut states = States::new(range, self.budget);
        if !log.visit(&mut states)? {
            return Ok(None);
        }
        let bytes = states.bytes();
        let (done, states) = states.finish();
        if done.upto.is_some() {
            let milestones = self.milestones.get_or_insert_with(|| log.milestones());
            self.next = Some(next(milestones, done, bytes, self.budget));
        }
        Ok(Some(states))
    }
}

/// The range behind `done`, which ended with `bytes` of states: so far that it will have about three quarters of the budget.
///
/// `ends` are the page ends of one large segment, ascending: between one and the next lie about as many rows. Without any,
/// every range goes to the end, and is cut.
fn next(ends: &[Handle], done: HandleRange, bytes: usize, budget: usize) -> HandleRange {
    let passed = |bound: &Option<Handle>| {
        let is_passed = |end: &Handle| bound.as_ref().is_some_and(|bound| end <= bound);
        ends.partition_point(is_passed)
    };
    let (from, to) = (passed(&done.after), passed(&done.upto));
    let span = to.saturating_sub(from).max(1) as u128;
    let wanted = span * budget as u128 * 3 / 4 / bytes.max(1) as u128;
    let wanted = usize::try_from(wanted.clamp(1, span * GROWTH_MAX)).unwrap_or(usize::MAX);
    let upto = ends.get(to.saturating_add(wanted - 1)).cloned();
    HandleRange { after: done.upto, upto }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(number: usize) -> Handle {
        Handle::from_canonical(&format!("+1415555{number:04}")).unwrap()
    }

    fn range(after: Option<usize>, upto: Option<usize>) -> HandleRange {
        HandleRange { after: after.map(handle), upto: upto.map(handle) }
    }

    #[test]
    fn the_next_range_fits_the_budget_and_goes_on() {
        let ends: Vec<Handle> = (1..=50).map(|n| handle(n * 10)).collect();
        let next = |done, bytes| super::next(&ends, done, bytes, 1_000);
        // Eight pages had all of the budget: six will have three quarters.
        assert_eq!(next(range(None, Some(80)), 1_000), range(Some(80), Some(140)));
        assert_eq!(next(range(None, Some(80)), 500), range(Some(80), Some(200)));
        // Nothing at all: four times as far, no more.
        assert_eq!(next(range(Some(10), Some(30)), 0), range(Some(30), Some(110)));
        // Less than a page: up to the next end.
        assert_eq!(next(range(Some(11), Some(12)), 5_000), range(Some(12), Some(20)));
        assert_eq!(next(range(Some(11), Some(20)), 5_000), range(Some(20), Some(30)));
        // Behind the last end there is no other.
        assert_eq!(next(range(Some(400), Some(490)), 100), range(Some(490), None));
        assert_eq!(next(range(Some(400), Some(505)), 100), range(Some(505), None));
        assert_eq!(super::next(&[], range(None, Some(7)), 9, 9), range(Some(7), None));
    }
}

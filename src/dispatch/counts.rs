//! What became of lookups, counted for metrics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::runtime::Handle;

use crate::{
    metrics::Sharded,
    query_log::{AppendAck, AppendError},
    vocabulary::{HandleLoss, ProblemCode, Reason, Route},
};

use super::answer::Refusal;

/// Numbers of reasons are below this.
const REASONS: usize = 128;
/// The routes by number, with the refused lookups at 0.
const ROUTES: usize = 4;

type Cells = [[AtomicU64; REASONS]; ROUTES];

/// Handles asked for, by route and reason. A lookup is counted once its outcome is final: an answer after the commit of its
/// record, a refusal when the asker gets it.
#[derive(Debug)]
pub struct LookupCounts(Sharded<Cells>);

impl Default for LookupCounts {
    fn default() -> Self {
        Self(Sharded::new(|| [const { [const { AtomicU64::new(0) }; REASONS] }; ROUTES]))
    }
}

impl LookupCounts {
    /// Why an answer has its route, as far as metrics tell it. All pairs of them are always shown.
    pub fn of_answers() -> impl Iterator<Item = (Route, Reason)> {
        let lost = HandleLoss::ALL.iter().map(|how| Reason::Lost(*how));
        let reasons = [Reason::NeverRegistered, Reason::LeaseExpired].into_iter().chain(lost);
        let not_served =
            reasons.flat_map(|reason| [Route::Sms, Route::None].map(|it| (it, reason)));
        [(Route::Imessage, Reason::LiveDevice)].into_iter().chain(not_served)
    }

    /// Handles that were answered so, since the start.
    pub fn answered(&self, route: Route, reason: Reason) -> u64 {
        self.of(usize::from(route.number()), reason)
    }

    /// Handles whose lookup was refused with this problem, since the start.
    pub fn refused(&self, problem: ProblemCode) -> u64 {
        self.of(0, Reason::Refused(problem))
    }

    fn of(&self, route: usize, reason: Reason) -> u64 {
        self.0.sum(|cells| &cells[route][usize::from(reason.number())])
    }

    /// Counts an answer for one handle.
    pub(super) fn add_answer(&self, route: Route, reason: Reason) {
        // Hidden handles are counted as unknown ones: whoever asks and watches the counts must not tell them apart.
        let reason = match reason {
            Reason::Undiscoverable => Reason::NeverRegistered,
            reason => reason,
        };
        self.add(usize::from(route.number()), reason, 1);
    }

    /// Counts a text of a batch that is no handle.
    pub(super) fn add_malformed(&self) {
        self.add(0, Reason::Refused(ProblemCode::HandleInvalid), 1);
    }

    /// Counts a refusal of so many handles, and gives it back.
    pub(super) fn add_refusal(&self, refusal: Refusal, handles: u64) -> Refusal {
        self.add(0, Reason::Refused(refusal.code()), handles);
        refusal
    }

    /// Waits for the commit of records of so many handles, and then lets `count` count them, also if the asker leaves before.
    /// If the commit fails, all of them are refused.
    pub(super) async fn add_committed<F: FnOnce(&Self) + Send + 'static>(
        self: &Arc<Self>,
        recorded: AppendAck,
        handles: u64,
        count: F,
    ) -> Result<(), Refusal> {
        let mut uncounted = Uncounted { counts: self, handles, left: Some((recorded, count)) };
        let committed = match &mut uncounted.left {
            Some((recorded, _)) => recorded.await,
            None => Ok(()),
        };
        uncounted.left.take().map_or(Ok(()), |(_, count)| self.settle(committed, handles, count))
    }

    fn settle(
        &self,
        committed: Result<(), AppendError>,
        handles: u64,
        count: impl FnOnce(&Self),
    ) -> Result<(), Refusal> {
        committed.map_err(|error| self.add_refusal(error.into(), handles))?;
        count(self);
        Ok(())
    }

    fn add(&self, route: usize, reason: Reason, handles: u64) {
        self.0.add(|cells| &cells[route][usize::from(reason.number())], handles);
    }
}

/// Lookups whose records are not committed yet. Dropped, because the asker left, it counts them later.
struct Uncounted<'a, F: FnOnce(&LookupCounts) + Send + 'static> {
    counts: &'a Arc<LookupCounts>,
    handles: u64,
    left: Option<(AppendAck, F)>,
}

impl<F: FnOnce(&LookupCounts) + Send + 'static> Drop for Uncounted<'_, F> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and its counts with it.
        let (Some((recorded, count)), Ok(runtime)) = (self.left.take(), Handle::try_current())
        else {
            return;
        };
        let (counts, handles) = (Arc::clone(self.counts), self.handles);
        // Not tracked: a stop waits for the commit, but not for a count that nobody reads any more.
        runtime.spawn(async move {
            // Nobody waits for the refusal.
            let _ = counts.settle(recorded.until_known().await, handles, count);
        });
    }
}

/// Refused lookups that have no record of their own, by problem.
#[derive(Debug)]
pub struct RefusalCounts([AtomicU64; REASONS]);

impl Default for RefusalCounts {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; REASONS])
    }
}

impl RefusalCounts {
    pub(super) fn add(&self, problem: ProblemCode, handles: u64) {
        self.0[usize::from(problem.number())].fetch_add(handles, Relaxed);
    }

    /// The count, which begins again at zero.
    pub(super) fn take(&self, problem: ProblemCode) -> u64 {
        self.0[usize::from(problem.number())].swap(0, Relaxed)
    }

    /// Handles whose lookup was refused with this problem and has no record of its own, since the start.
    pub fn of(&self, problem: ProblemCode) -> u64 {
        self.0[usize::from(problem.number())].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_cell() {
        assert!(Reason::ALL.iter().all(|reason| usize::from(reason.number()) < REASONS));
        assert!(Route::ALL.iter().all(|route| (1..ROUTES).contains(&route.number().into())));
    }

    #[test]
    fn hidden_handles_are_counted_as_unknown_ones() {
        let counts = LookupCounts::default();
        counts.add_answer(Route::Sms, Reason::Undiscoverable);
        counts.add_answer(Route::Sms, Reason::NeverRegistered);
        assert_eq!(counts.answered(Route::Sms, Reason::NeverRegistered), 2);
        assert_eq!(counts.answered(Route::Sms, Reason::Undiscoverable), 0);
        assert!(LookupCounts::of_answers().all(|(_, reason)| reason != Reason::Undiscoverable));
    }
}

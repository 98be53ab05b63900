//! Refusals: recorded one by one, or beyond the limits of the quota counted.

use super::{
    answer::{Caller, Refusal},
    lookup::Dispatch,
};
use crate::{
    handle::Handle,
    query_log::{Record, RefusalCount},
    quota::record_units,
    registry::Asker,
    vocabulary::{ProblemCode, Reason},
};

impl Dispatch {
    /// Records a refusal that was found before a handle was read, and gives it back; or, if the log cannot take it,
    /// that instead.
    pub async fn refuse(&self, caller: &Caller, asker: Option<Asker>, refusal: Refusal) -> Refusal {
        self.refuse_all(caller, asker, refusal, vec![None]).await
    }

    /// As [`Dispatch::refuse`], with a record for each of the handles asked for; none stands for a text that is no handle. Not
    /// every refusal is recorded: see [`Quota::may_record_refusal`](crate::quota::Quota::may_record_refusal).
    pub(super) async fn refuse_all(
        &self,
        caller: &Caller,
        asker: Option<Asker>,
        refusal: Refusal,
        handles: Vec<Option<Handle>>,
    ) -> Refusal {
        let size = record_units(handles.iter().map(Option::as_ref));
        if !self.quota.may_record_refusal(caller.ip, size) {
            let (reason, count) = (Reason::Refused(refusal.code()), handles.len() as u64);
            self.counts.add(reason, count);
            self.unrecorded.add(reason, count);
            self.unlogged.add(reason, count);
            return refusal;
        }
        let records =
            handles.into_iter().map(|handle| self.refusal_record(caller, asker, handle, refusal));
        let committed = match self.log.append_all(records) {
            Ok(recorded) => recorded.await,
            Err(error) => Err(error),
        };
        committed.map_or_else(Refusal::from, |()| refusal)
    }

    /// Writes the number of refusals that were not recorded one by one since the last call: one record for each reason. Call it
    /// each minute and before the log closes. If the log refuses, the next call tries again. A crash loses what was counted
    /// since the last call.
    pub async fn log_refusal_counts(&self) {
        let count = |&code| RefusalCount::new(code, self.unlogged.take(Reason::Refused(code)));
        let counts: Vec<_> =
            ProblemCode::ALL.iter().map(count).filter(|taken| taken.count > 0).collect();
        if counts.is_empty() {
            return;
        }
        let committed = match self.log.append_all(counts.iter().map(|it| Record::Refusals(*it))) {
            // Counted again after an error, so the outcome must be known.
            Ok(recorded) => recorded.until_known().await,
            Err(error) => Err(error),
        };
        if committed.is_err() {
            counts.iter().for_each(|it| self.unlogged.add(Reason::Refused(it.code), it.count));
        }
    }
}

//! Refusals: recorded one by one, or beyond the limits of the quota counted.

use super::{
    answer::{Caller, Refusal},
    counts::LookupCounts,
    lookup::Dispatch,
    record::refusal_record,
};
use crate::{
    handle::Handle,
    query_log::{Record, RefusalCount},
    quota::record_units,
    registry::Asker,
    vocabulary::ProblemCode,
};

impl Dispatch {
    /// Records a refusal that was found before a handle was read, and gives it back; or, if the log cannot take it,
    /// that instead.
    pub async fn refuse(&self, caller: &Caller, asker: Option<Asker>, refusal: Refusal) -> Refusal {
        self.refuse_all(caller, asker, refusal, vec![None]).await
    }

    /// Counts a lookup that is refused before it is read, because the service is overloaded or behind, and gives the refusal back. The
    /// number of its handles is not known, so it counts as one. It gets no record of its own: under overload that would cost what the
    /// refusal is to save, and while the service is behind it cannot tell who asks.
    pub fn refuse_unread(&self, refusal: Refusal) -> Refusal {
        self.unrecorded.add(refusal.code(), 1);
        self.unlogged.add(refusal.code(), 1);
        self.counts.add_refusal(refusal, 1)
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
        let count = handles.len() as u64;
        if !self.quota.may_record_refusal(caller.ip, size) {
            let code = refusal.code();
            self.unrecorded.add(code, count);
            self.unlogged.add(code, count);
            return self.counts.add_refusal(refusal, count);
        }
        let records =
            handles.into_iter().map(|handle| refusal_record(caller, asker, handle, refusal));
        let recorded = match self.log.append_all(records) {
            Ok(recorded) => recorded,
            Err(error) => return self.counts.add_refusal(error.into(), count),
        };
        let refuse = move |counts: &LookupCounts| {
            counts.add_refusal(refusal, count);
        };
        let committed = self.counts.add_committed(recorded, count, refuse).await;
        committed.err().unwrap_or(refusal)
    }

    /// Writes the number of refusals that were not recorded one by one since the last call: one record for each reason. Call it
    /// each minute and before the log closes. If the log refuses, the next call tries again. A crash loses what was counted
    /// since the last call.
    pub async fn log_refusal_counts(&self) {
        let count = |&code| RefusalCount::new(code, self.unlogged.take(code));
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
            counts.iter().for_each(|it| self.unlogged.add(it.code, it.count));
        }
    }
}

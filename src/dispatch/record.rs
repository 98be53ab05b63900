//! The record of an answer or a refusal.

use super::{answer::Caller, decide::Decision, lookup::Dispatch, refusal::Refusal};
use crate::{
    handle::Handle,
    query_log::{LookupRecord, Record},
    registry::Asker,
    vocabulary::{ProblemCode, Reason, Route},
};

impl Dispatch {
    /// Records a refusal that was found before a handle was read, and gives it back; or, if the log cannot take it,
    /// that instead.
    pub async fn refuse(&self, caller: &Caller, asker: Option<Asker>, refusal: Refusal) -> Refusal {
        let record = self.refusal_record(caller, asker, None, refusal);
        self.refuse_all(caller, refusal, [record].into_iter()).await
    }

    /// As [`Dispatch::refuse`], with the records at hand. Not every refusal is recorded: see
    /// [`Quota::may_record_refusal`](crate::quota::Quota::may_record_refusal).
    pub(super) async fn refuse_all(
        &self,
        caller: &Caller,
        refusal: Refusal,
        records: impl ExactSizeIterator<Item = Record>,
    ) -> Refusal {
        if !self.quota.may_record_refusal(caller.ip, records.len()) {
            return refusal;
        }
        let committed = match self.log.append_all(records) {
            Ok(recorded) => recorded.await,
            Err(error) => Err(error),
        };
        committed.map_or_else(Refusal::from, |()| refusal)
    }

    /// Records a request that was malformed as a whole, as far as refusals are recorded.
    ///
    /// # Errors
    /// If the log cannot take the record.
    pub async fn record_malformed(
        &self,
        caller: &Caller,
        asker: Asker,
        code: ProblemCode,
    ) -> Result<(), Refusal> {
        let reason = Reason::Refused(code);
        let record = self.record(caller, Some(asker), None, None, reason, code.status());
        if self.quota.may_record_refusal(caller.ip, 1) {
            self.log.append(&record)?.await?;
        }
        Ok(())
    }

    pub(super) fn answer_record(
        &self,
        caller: &Caller,
        asker: Asker,
        handle: &Handle,
        decision: &Decision,
    ) -> Record {
        let (route, reason) = (Some(decision.route), decision.reason);
        self.record(caller, Some(asker), Some(handle.clone()), route, reason, 200)
    }

    pub(super) fn refusal_record(
        &self,
        caller: &Caller,
        asker: Option<Asker>,
        handle: Option<Handle>,
        refusal: Refusal,
    ) -> Record {
        let code = refusal.code();
        self.record(caller, asker, handle, None, Reason::Refused(code), code.status())
    }

    fn record(
        &self,
        caller: &Caller,
        asker: Option<Asker>,
        handle: Option<Handle>,
        route: Option<Route>,
        reason: Reason,
        status: u16,
    ) -> Record {
        self.counts.count(reason);
        Record::Lookup(LookupRecord {
            request: caller.request,
            account: asker.map(|asker| asker.account),
            device: asker.map(|asker| asker.device),
            ip: Some(caller.ip),
            handle,
            route,
            reason,
            status,
            took_us: u32::try_from(caller.arrived.elapsed().as_micros()).unwrap_or(u32::MAX),
        })
    }
}

//! Records of answers, refusals and changes.

use super::{
    answer::{Caller, Refusal},
    decide::Decision,
};
use crate::{
    clock::Timestamp,
    handle::Handle,
    query_log::{LookupRecord, QueryLog, Record},
    registry::{Asker, ChangeSink, Recording, SinkFailed, Unrecorded},
    vocabulary::{Reason, Route},
};

/// The record of an answer.
pub(super) fn answer_record(
    caller: &Caller,
    asker: Asker,
    handle: &Handle,
    decision: &Decision,
) -> Record {
    let (route, reason) = (Some(decision.route), decision.reason);
    record(caller, Some(asker), Some(handle.clone()), route, reason, 200)
}

/// The record of a refusal; `handle` is none for a text that is no handle.
pub(super) fn refusal_record(
    caller: &Caller,
    asker: Option<Asker>,
    handle: Option<Handle>,
    refusal: Refusal,
) -> Record {
    let code = refusal.code();
    record(caller, asker, handle, None, Reason::Refused(code), code.status())
}

fn record(
    caller: &Caller,
    asker: Option<Asker>,
    handle: Option<Handle>,
    route: Option<Route>,
    reason: Reason,
    status: u16,
) -> Record {
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

/// Records the registry's changes in the query log.
#[derive(Clone, Debug)]
pub struct LogSink(
    /// The log.
    pub QueryLog,
);

impl ChangeSink for LogSink {
    fn is_writable(&self) -> bool {
        self.0.is_writable()
    }

    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        let records = changes.iter().map(|row| Record::Change(row.change.clone()));
        let acknowledged = self.0.append_all(records).map_err(|_| SinkFailed)?;
        // The registry offers a change again that the log did not commit. So it must know, even if that takes long.
        let known = acknowledged.until_known();
        Ok(Box::pin(async move { known.await.map_err(|_| SinkFailed) }))
    }

    fn not_before(&self, decided_at: Timestamp) {
        self.0.not_before(decided_at);
    }
}

//! The registry's changes on their way into the log.
//!
//! The registry and the log do not know each other; this is where one's words become the other's.

use crate::{
    query_log::{Cause, ChangeKind, ChangeRecord, QueryLog, Record},
    registry::{self, Change, ChangeSink, Recording, SinkFailed, SinkRefused},
};

/// Records the registry's changes in the query log.
#[derive(Clone, Debug)]
pub struct LogSink {
    log: QueryLog,
}

impl LogSink {
    /// Records into `log`.
    #[must_use]
    pub fn new(log: QueryLog) -> Self {
        Self { log }
    }
}

impl ChangeSink for LogSink {
    fn is_writable(&self) -> bool {
        self.log.is_writable()
    }

    fn record(&self, changes: &[Change]) -> Result<Recording, SinkRefused> {
        let records = changes.iter().map(|change| Record::Change(change_record(change)));
        let ticket = self.log.append_all(records).map_err(|_| SinkRefused)?;
        Ok(Box::pin(async move { ticket.await.map_err(|_| SinkFailed) }))
    }
}

fn change_record(change: &Change) -> ChangeRecord {
    ChangeRecord {
        id: change.id,
        change: match change.kind {
            registry::ChangeKind::DeviceRegistered => ChangeKind::DeviceRegistered,
            registry::ChangeKind::DeviceRemoved => ChangeKind::DeviceRemoved,
            registry::ChangeKind::HandleBound => ChangeKind::HandleBound,
            registry::ChangeKind::HandleUnbound => ChangeKind::HandleUnbound,
            registry::ChangeKind::HandleMoved => ChangeKind::HandleMoved,
            registry::ChangeKind::HandleDeregistered => ChangeKind::HandleDeregistered,
            registry::ChangeKind::LeaseExpired => ChangeKind::LeaseExpired,
        },
        handle: change.handle.clone(),
        device: change.device,
        account: change.account,
        cause: match change.cause {
            registry::Cause::SignUp => Cause::SignUp,
            registry::Cause::Linked => Cause::Linked,
            registry::Cause::SignOut => Cause::SignOut,
            registry::Cause::Proof => Cause::Proof,
            registry::Cause::ProofHeld => Cause::ProofHeld,
            registry::Cause::OwnerRequest => Cause::OwnerRequest,
            registry::Cause::Deregistration => Cause::Deregistration,
            registry::Cause::NewerProof => Cause::NewerProof,
            registry::Cause::Silence => Cause::Silence,
            registry::Cause::Import => Cause::Import,
        },
    }
}

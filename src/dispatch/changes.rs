//! The registry's changes on their way into the log.

use crate::{
    query_log::{QueryLog, Record},
    registry::{ChangeSink, Recording, SinkFailed, Unrecorded},
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

    fn record(&self, changes: &[Unrecorded]) -> Result<Recording, SinkFailed> {
        let records = changes.iter().map(|row| Record::Change(row.change.clone()));
        let acknowledged = self.log.append_all(records).map_err(|_| SinkFailed)?;
        Ok(Box::pin(async move { acknowledged.await.map_err(|_| SinkFailed) }))
    }
}

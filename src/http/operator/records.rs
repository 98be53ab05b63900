//! The way to the log's records, which leads past the audit log.
//!
//! The operators' routes are given no query log but this one. A handler that wants a reader must say who asks, what and
//! with which filters, and gets it together with the [`Audited`] that counts; without an entry there is no reader. So a new
//! route that gives out records and is not audited does not compile.

use crate::{
    audit::{Audit, AuditError, Audited, Call, Filters},
    http::problem::{Code, Problem},
    operators::Operator,
    query_log::{ForgottenError, ForgottenReport, LogReader, QueryLog, SegmentSummary},
};

/// The query log and the audit log.
#[derive(Clone, Debug)]
pub struct Records {
    log: QueryLog,
    audit: Audit,
}

impl Records {
    /// Reading the one is noted in the other.
    #[must_use]
    pub const fn new(log: QueryLog, audit: Audit) -> Self {
        Self { log, audit }
    }

    /// A reader of the query log, once it is noted who reads what.
    pub(super) async fn read(
        &self,
        by: &Operator,
        call: Call,
        filters: Filters,
    ) -> Result<(LogReader, Audited), Problem> {
        let audited = self.begin(by, call, filters).await?;
        Ok((self.log.reader(), audited))
    }

    /// The audit log, once it is noted who reads it.
    pub(super) async fn read_audit(
        &self,
        by: &Operator,
        call: Call,
        filters: Filters,
    ) -> Result<(Audit, Audited), Problem> {
        let audited = self.begin(by, call, filters).await?;
        Ok((self.audit.clone(), audited))
    }

    /// The hours of the log: no records, no entry. Reads files.
    pub(super) fn segments(&self) -> Vec<SegmentSummary> {
        self.log.reader().segments()
    }

    /// What should be forgotten and is not: no records, no entry. Reads files.
    pub(super) fn prove_forgotten(&self) -> Result<ForgottenReport, ForgottenError> {
        self.log.reader().prove_forgotten()
    }

    /// Whether the query log takes records at present.
    pub(super) fn is_writable(&self) -> bool {
        self.log.is_writable()
    }

    async fn begin(&self, by: &Operator, call: Call, filters: Filters) -> Result<Audited, Problem> {
        let (audit, by) = (self.audit.clone(), by.name.clone());
        let begun = tokio::task::spawn_blocking(move || audit.begin(&by, call, &filters)).await;
        let begun = begun.map_err(|_| Problem::new(Code::Internal, "the audit log failed"))?;
        begun.map_err(|error: AuditError| {
            tracing::error!(%error, "a reader was refused");
            let detail = "who reads the log is noted first, and that failed; is the disk full? \
                          the server's messages say more";
            Problem::new(Code::AuditUnwritable, detail)
        })
    }
}

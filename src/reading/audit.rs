//! Who read the query log.

use super::{
    call::{Answer, Reading, Rows, Stop, send_rows},
    error::ReadingError,
    records::Records,
};
use crate::{
    api::{AuditRequest, AuditVerifyRequest, Call as _},
    audit::{Call, Filters, Listed, VerifyReport},
    query_log::SearchOutcome,
};

impl Rows for AuditRequest {
    type Row = Listed;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<Listed>, ReadingError> {
        let wanted = self.resolve(records.now())?;
        let (audit, audited) = records.read_audit(by, Call::AuditList, &wanted.filters())?;
        let listing = audit.list(wanted)?;
        Ok(Reading::new(audited, move |stop, take| {
            let is_whole = send_rows(listing.take_while(|_| !stop()), take)?;
            Ok((is_whole && !stop()).then(SearchOutcome::default))
        }))
    }
}

impl Answer for AuditVerifyRequest {
    type Answer = VerifyReport;

    fn answer(&self, records: &Records, by: &str, _: &Stop) -> Result<VerifyReport, ReadingError> {
        let (audit, audited) = records.read_audit(by, Call::AuditVerify, &Filters::none())?;
        let report = audit.verify()?;
        audited.finish();
        Ok(report)
    }
}

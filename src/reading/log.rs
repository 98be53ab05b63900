//! Records, what the log is made of, and who read it.

use std::sync::Arc;

use super::{
    call::{Answer, Reading, Rows, Stop, send_rows},
    records::{ReadingError, Records},
};
use crate::{
    api::{
        AuditRequest, AuditVerifyRequest, Call as _, FlipsRequest, ForgottenAnswer,
        ForgottenRequest, Page, RecordFilter, SearchMeaning, SearchRequest, SegmentsRequest,
        VerifyRequest, page_limit,
    },
    audit::{self, Audited, Call, Filters, Listed},
    query_log::{Filter, FlipReport, LogRow, Search, SearchOutcome, SegmentSummary, VerifyReport},
};

/// Notes a search and begins it.
fn search(
    request: &SearchRequest,
    meaning: SearchMeaning,
    records: &Records,
    by: &str,
) -> Result<(Search, Audited), ReadingError> {
    let SearchMeaning { filter, order, after, limit } = meaning;
    let filters = Filters::of(&filter)
        .in_case(request.case())
        .plain("order", request.page.order.as_deref())
        .plain("limit", limit)
        .plain("cursor", request.page.cursor.as_deref());
    let (reader, audited) = records.read(by, Call::Search, &filters)?;
    Ok((reader.search(&filter, order, after), audited))
}

impl Rows for SearchRequest {
    type Row = LogRow;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<LogRow>, ReadingError> {
        let meaning = self.resolve(records.now())?;
        let limit = meaning.limit.unwrap_or(usize::MAX);
        let (search, audited) = search(self, meaning, records, by)?;
        Ok(Reading::new(audited, move |stop, take| {
            let stopped = Arc::clone(stop);
            let mut search = search.stop_when(move || stopped());
            let rows = search.by_ref().take(limit).map(|found| found.map(|(_, row)| row));
            let is_whole = send_rows(rows, take)? && !stop();
            Ok(is_whole.then(|| search.outcome()))
        }))
    }
}

/// The same as a page.
impl Answer for SearchRequest {
    type Answer = Page;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<Page, ReadingError> {
        let meaning = self.resolve(records.now())?;
        let limit = page_limit(meaning.limit)?;
        let (search, mut audited) = search(self, meaning, records, by)?;
        let stop = Arc::clone(stop);
        let mut search = search.stop_when(move || stop());
        let found = search.by_ref().take(limit).collect::<Result<Vec<_>, _>>()?;
        let last = found.last().map(|(cursor, _)| cursor.to_string());
        let has_more = search.next().transpose()?.is_some();
        audited.add(found.len() as u64);
        audited.finish();
        Ok(Page {
            records: found.into_iter().map(|(_, row)| row).collect(),
            next_cursor: last.filter(|_| has_more),
            damaged: search.outcome().damaged,
            unreadable_segments: search.outcome().unreadable_segments,
            hidden_until: records.hidden_until(),
        })
    }
}

/// An export.
impl Rows for RecordFilter {
    type Row = LogRow;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<LogRow>, ReadingError> {
        let filter = self.resolve(records.now())?;
        let filters = Filters::of(&filter).in_case(self.case());
        let (reader, audited) = records.read(by, Call::Export, &filters)?;
        Ok(Reading::new(audited, move |stop, take| {
            let stopped = Arc::clone(stop);
            let mut walk = reader.walk(&filter).stop_when(move || stopped());
            let rows = walk.by_ref().map(|found| found.map(|(_, row)| row));
            let is_whole = send_rows(rows, take)? && !stop();
            Ok(is_whole.then(|| walk.outcome()))
        }))
    }
}

impl Answer for VerifyRequest {
    type Answer = VerifyReport;

    fn answer(&self, records: &Records, by: &str, _: &Stop) -> Result<VerifyReport, ReadingError> {
        let (reader, audited) = records.read(by, Call::Verify, &Filters::none())?;
        let report = reader.verify();
        audited.finish();
        Ok(report)
    }
}

/// Sizes of hours: no records, no entry.
impl Answer for SegmentsRequest {
    const IS_COSTLY: bool = false;
    type Answer = Vec<SegmentSummary>;

    fn answer(&self, records: &Records, _: &str, _: &Stop) -> Result<Self::Answer, ReadingError> {
        Ok(records.unaudited().segments())
    }
}

/// What should be forgotten and is not: no records, no entry.
impl Answer for ForgottenRequest {
    type Answer = ForgottenAnswer;

    fn answer(
        &self,
        records: &Records,
        _: &str,
        _: &Stop,
    ) -> Result<ForgottenAnswer, ReadingError> {
        Ok(records.forgotten()?.into())
    }
}

impl Answer for FlipsRequest {
    type Answer = FlipReport;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<FlipReport, ReadingError> {
        let query = self.resolve(records.now())?;
        let (since, until) = (query.since, query.until);
        let filters = Filters::of(&Filter { since, until, ..Filter::default() })
            .in_case(self.case())
            .plain("min", Some(query.min))
            .plain("limit", Some(query.limit));
        let (reader, mut audited) = records.read(by, Call::Flips, &filters)?;
        let mut report = reader.flips(&query, &|| stop())?;
        report.summary.hidden_until = records.hidden_until();
        if report.stopped {
            return Err(ReadingError::Stopped);
        }
        audited.add(report.flips.len() as u64);
        audited.finish();
        Ok(report)
    }
}

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
    type Answer = audit::VerifyReport;

    fn answer(
        &self,
        records: &Records,
        by: &str,
        _: &Stop,
    ) -> Result<audit::VerifyReport, ReadingError> {
        let (audit, audited) = records.read_audit(by, Call::AuditVerify, &Filters::none())?;
        let report = audit.verify()?;
        audited.finish();
        Ok(report)
    }
}

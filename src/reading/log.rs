//! Records, and what the log is made of.

use super::{Answer, Reading, ReadingError, Records, Rows, Stop, call::give};
use crate::{
    api::{
        ExportRequest, FlipsRequest, ForgottenRequest, Page, SearchRequest, SegmentsRequest,
        VerifyRequest,
    },
    audit::{Audited, Call, Filters},
    query_log::{
        Filter, FlipReport, ForgottenReport, LogRow, Search, SegmentSummary, VerifyReport,
    },
};

impl SearchRequest {
    fn search(&self, records: &Records, by: &str) -> Result<(Search, Audited), ReadingError> {
        let filter = self.filter.resolve(records.now())?;
        let (order, cursor) = (self.page.order()?, self.page.cursor()?);
        let filters = Filters::of(&filter)
            .plain("order", self.page.order.as_deref())
            .plain("limit", self.page.limit.as_deref())
            .plain("cursor", self.page.cursor.as_deref());
        let (reader, audited) = records.read(by, Call::Search, &filters)?;
        Ok((reader.search(&filter, order, cursor), audited))
    }
}

impl Rows for SearchRequest {
    type Row = LogRow;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<LogRow>, ReadingError> {
        let limit = self.page.stream_limit()?;
        let (search, audited) = self.search(records, by)?;
        Ok(Reading::new(audited, move |stop, take| {
            let stopped = stop.clone();
            let mut search = search.stop_when(move || stopped.has_come());
            let rows = search.by_ref().take(limit).map(|found| found.map(|(_, row)| row));
            let is_whole = give(rows, take)? && !stop.has_come();
            Ok(is_whole.then(|| search.outcome()))
        }))
    }
}

/// The same as a page.
impl Answer for SearchRequest {
    type Answer = Page;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<Page, ReadingError> {
        let limit = self.page.page_limit()?;
        let (search, mut audited) = self.search(records, by)?;
        let stop = stop.clone();
        let mut search = search.stop_when(move || stop.has_come());
        let (mut page, mut last) = (Vec::new(), None);
        let mut has_more = false;
        for found in search.by_ref() {
            let (cursor, row) = found?;
            if page.len() == limit {
                has_more = true;
                break;
            }
            last = Some(cursor);
            page.push(row);
        }
        audited.add(page.len() as u64);
        audited.finish();
        Ok(Page {
            records: page,
            next_cursor: last.filter(|_| has_more).map(|cursor| cursor.to_string()),
            damaged: search.outcome().damaged,
            unreadable_segments: search.outcome().unreadable_segments,
        })
    }
}

impl Rows for ExportRequest {
    type Row = LogRow;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<LogRow>, ReadingError> {
        let filter = self.filter.resolve(records.now())?;
        let (reader, audited) = records.read(by, Call::Export, &Filters::of(&filter))?;
        Ok(Reading::new(audited, move |stop, take| {
            let stopped = stop.clone();
            let mut walk = reader.walk(&filter).stop_when(move || stopped.has_come());
            let rows = walk.by_ref().map(|found| found.map(|(_, row)| row));
            let is_whole = give(rows, take)? && !stop.has_come();
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
    type Answer = Vec<SegmentSummary>;

    fn answer(&self, records: &Records, _: &str, _: &Stop) -> Result<Self::Answer, ReadingError> {
        Ok(records.unaudited().segments())
    }
}

/// What should be forgotten and is not: no records, no entry.
impl Answer for ForgottenRequest {
    type Answer = ForgottenReport;

    fn answer(
        &self,
        records: &Records,
        _: &str,
        _: &Stop,
    ) -> Result<ForgottenReport, ReadingError> {
        Ok(records.unaudited().prove_forgotten()?)
    }
}

impl Answer for FlipsRequest {
    type Answer = FlipReport;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<FlipReport, ReadingError> {
        let query = self.resolve(records.now())?;
        let (since, until) = (query.since, query.until);
        let filters = Filters::of(&Filter { since, until, ..Filter::default() })
            .plain("min", Some(query.min))
            .plain("limit", Some(query.limit));
        let (reader, mut audited) = records.read(by, Call::Flips, &filters)?;
        let report = reader.flips(&query, &|| stop.has_come())?;
        if report.stopped {
            return Err(ReadingError::Stopped);
        }
        audited.add(report.flips.len() as u64);
        audited.finish();
        Ok(report)
    }
}

//! Records, what the log is made of, and who read it.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{
    call::{Answer, Reading, Rows, Stop, send_rows},
    gather::{
        AskedNode, GatheredExport, GatheredFlips, GatheredSearch, OwnCalls, Question, list_calls,
        list_segments, reports,
    },
    outcome::Outcome,
    records::{ReadingError, Records},
};
use crate::{
    api::{
        self, AuditRequest, AuditVerificationAnswer, AuditVerifyRequest, Call as _, FlipPart,
        FlipPartsRequest, FlipsRequest, ForgottenAnswer, ForgottenRequest, FoundRow, Invalid,
        LogVerificationAnswer, NodeCall, NodeSegment, Page, PagePlace, RecordFilter, Scope,
        SearchMeaning, SearchRequest, SegmentsRequest, VerifyRequest, page_limit,
    },
    audit::{Audited, Call, Filters},
    cluster::Others,
    query_log::{Cursor, Filter, FlipReport, LogReader, Search},
};

/// The rows of a search in one log, or in the logs of all nodes.
enum FoundRows {
    /// In one log: with the name of its node in a cluster, and the place of the last row.
    Own {
        search: Box<Search>,
        node: Option<String>,
        last: Option<Cursor>,
    },
    Gathered(Box<GatheredSearch>),
}

impl FoundRows {
    /// What was not read so far.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Own { search, .. } => search.outcome().into(),
            Self::Gathered(search) => search.outcome(),
        }
    }

    /// Where the last row is, as a cursor.
    fn place(&self) -> Option<String> {
        match self {
            Self::Own { last, .. } => last.map(|place| place.to_string()),
            Self::Gathered(search) => search.place().map(|place| place.to_string()),
        }
    }
}

impl Iterator for FoundRows {
    type Item = Result<FoundRow, ReadingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Own { search, node, last } => {
                Some(search.next()?.map_err(Into::into).map(|(place, row)| {
                    *last = Some(place);
                    let row = FoundRow::of_node(row, node.as_deref());
                    if node.is_some() { row.at_place(place) } else { row }
                }))
            }
            Self::Gathered(search) => search.next(),
        }
    }
}

/// A search that is noted, and not begun.
struct Noted {
    request: SearchRequest,
    meaning: SearchMeaning,
    reader: LogReader,
    /// The other nodes, if they are asked, too.
    others: Option<Others>,
    /// The name of this node, in a cluster.
    node: Option<String>,
    operator: String,
}

impl Noted {
    /// Notes a search.
    fn note(
        request: &SearchRequest,
        meaning: SearchMeaning,
        records: &Records,
        by: &str,
    ) -> Result<(Self, Audited), ReadingError> {
        let others = records.asks_others(request)?;
        // A cursor is one of the scope in which its page was asked for.
        let is_of_scope = match &meaning.after {
            None => true,
            Some(PagePlace::Own(_)) => others.is_none(),
            Some(PagePlace::Cluster(_)) => others.is_some(),
        };
        if !is_of_scope {
            let text = "`cursor` takes the next_cursor of a page of the same scope";
            return Err(Invalid::new(text).into());
        }
        let filters = Filters::of(&meaning.filter)
            .in_case(request.case())
            .plain("scope", request.filter.scope.as_deref())
            .plain("order", request.page.order.as_deref())
            .plain("limit", meaning.limit)
            .plain("cursor", request.page.cursor.as_deref());
        let (reader, audited) = records.read(by, Call::Search, &filters)?;
        let node = records.node();
        let (request, operator) = (request.clone(), by.to_owned());
        Ok((Self { request, meaning, reader, others, node, operator }, audited))
    }

    /// Begins it. It ends once `stop` says so, even between two rows.
    fn begin(self, runtime: Option<Handle>, stop: &Stop) -> FoundRows {
        let Self { request, meaning, reader, others, node, operator } = self;
        let SearchMeaning { filter, order, after, limit } = meaning;
        let stop = Arc::clone(stop);
        match (others.zip(runtime), after) {
            (Some((others, runtime)), after) => {
                let after = after.and_then(PagePlace::of_cluster);
                let question = Question { request, filter, order, after, limit, operator };
                let parts = (others, reader, runtime);
                FoundRows::Gathered(Box::new(GatheredSearch::new(question, parts, stop)))
            }
            (None, after) => {
                let search = reader.search(&filter, order, after.and_then(PagePlace::own));
                let search = Box::new(search.stop_when(move || stop()));
                FoundRows::Own { search, node, last: None }
            }
        }
    }
}

impl Rows for SearchRequest {
    type Row = FoundRow;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<FoundRow>, ReadingError> {
        let meaning = self.resolve(records.now())?;
        let limit = meaning.limit.unwrap_or(usize::MAX);
        let (noted, audited) = Noted::note(self, meaning, records, by)?;
        // The thread that reads has no runtime of its own.
        let runtime = Handle::try_current().ok();
        Ok(Reading::new(audited, move |stop, take| {
            let mut rows = noted.begin(runtime, stop);
            let is_whole = send_rows(rows.by_ref().take(limit), take)? && !stop();
            Ok(is_whole.then(|| rows.outcome()))
        }))
    }
}

/// The same as a page.
impl Answer for SearchRequest {
    type Answer = Page;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<Page, ReadingError> {
        let meaning = self.resolve(records.now())?;
        let limit = page_limit(meaning.limit)?;
        let (mut noted, mut audited) = Noted::note(self, meaning, records, by)?;
        noted.meaning.limit = Some(limit);
        let mut rows = noted.begin(Handle::try_current().ok(), stop);
        let found = rows.by_ref().take(limit).collect::<Result<Vec<_>, _>>()?;
        let last = rows.place();
        let has_more = rows.next().transpose()?.is_some();
        audited.add(found.len() as u64);
        audited.finish();
        let Outcome { passed_over, missing, from_store } = rows.outcome();
        Ok(Page {
            records: found,
            next_cursor: last.filter(|_| has_more),
            damaged: passed_over.damaged,
            unreadable_segments: passed_over.unreadable_segments,
            missing: missing.unwrap_or_default(),
            from_store,
            hidden_until: records.hidden_until(),
        })
    }
}

/// An export.
impl Rows for RecordFilter {
    type Row = FoundRow;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<FoundRow>, ReadingError> {
        let filter = self.resolve(records.now())?;
        let scope = self.scope.as_deref();
        let filters = Filters::of(&filter).in_case(self.case()).plain("scope", scope);
        let (reader, audited) = records.read(by, Call::Export, &filters)?;
        let others = records.asks_others(self)?.zip(Handle::try_current().ok());
        let node = records.node();
        let (request, operator) = (self.clone(), by.to_owned());
        Ok(Reading::new(audited, move |stop, take| match others {
            None => {
                let stopped = Arc::clone(stop);
                let mut walk = reader.walk(&filter).stop_when(move || stopped());
                let found = |row| FoundRow::of_node(row, node.as_deref());
                let rows = walk.by_ref().map(|row| row.map(|(_, row)| found(row)));
                let is_whole = send_rows(rows, take)? && !stop();
                Ok(is_whole.then(|| walk.outcome().into()))
            }
            Some((others, runtime)) => {
                let export = GatheredExport { request, filter, operator, others, reader, runtime };
                export.read(stop, take)
            }
        }))
    }
}

/// The other nodes that are asked for their parts of the answer to a call: none if it is about one node.
fn asked(
    records: &Records,
    call: &impl api::Call,
    by: &str,
    stop: &Stop,
) -> Result<Vec<AskedNode>, Invalid> {
    let others = records.asks_others(call)?.zip(Handle::try_current().ok());
    let all = |(others, runtime)| AskedNode::all(&others, by, &runtime, stop);
    Ok(others.map(all).unwrap_or_default())
}

impl Answer for VerifyRequest {
    type Answer = LogVerificationAnswer;

    fn answer(
        &self,
        records: &Records,
        by: &str,
        stop: &Stop,
    ) -> Result<LogVerificationAnswer, ReadingError> {
        let filters = Filters::none().plain("scope", self.scope.as_deref());
        let (reader, audited) = records.read(by, Call::Verify, &filters)?;
        let asked = asked(records, self, by, stop)?;
        let (own, others) = reports(&asked, Self::PATH, move || reader.verify())?;
        audited.finish();
        Ok(LogVerificationAnswer::new(own, records.node(), others))
    }
}

/// Sizes of hours: no records, no entry.
impl Rows for SegmentsRequest {
    type Row = NodeSegment;
    const HAS_WINDOW: bool = false;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<NodeSegment>, ReadingError> {
        let (own, node, by) = (records.unaudited().segments(), records.node(), by.to_owned());
        let others = records.asks_others(self)?.zip(Handle::try_current().ok());
        Ok(Reading::unaudited(move |stop, take| {
            let asked =
                others.as_ref().map(|(others, runtime)| AskedNode::all(others, &by, runtime, stop));
            list_segments((own, node.as_deref()), asked, take)
        }))
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
        let now = records.now();
        let query = self.resolve(now)?;
        let (since, until) = (query.since, query.until);
        let filters = Filters::of(&Filter { since, until, ..Filter::default() })
            .in_case(self.case())
            .plain("scope", self.scope.as_deref())
            .plain("min", Some(query.min))
            .plain("limit", Some(query.limit));
        let (reader, mut audited) = records.read(by, Call::Flips, &filters)?;
        let others = records.asks_others(self)?.zip(Handle::try_current().ok());
        let mut report = match others {
            None => reader.flips(&query, &|| stop())?,
            Some((others, runtime)) => {
                let (case, operator) = (self.case.clone(), by.to_owned());
                GatheredFlips { query, case, operator, now, others, reader, runtime }.count(stop)?
            }
        };
        report.summary.hidden_until = records.hidden_until();
        if report.stopped {
            return Err(ReadingError::Stopped);
        }
        audited.add(report.flips.len() as u64);
        audited.finish();
        Ok(report)
    }
}

/// The part of this node, for another one that counts over all nodes.
impl Rows for FlipPartsRequest {
    type Row = FlipPart;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<FlipPart>, ReadingError> {
        let window = self.resolve(records.now())?;
        let (since, until) = (window.since, window.until);
        let after = window.after.as_ref().map(|after| after.canonical().into_owned());
        let filters = Filters::of(&Filter { since, until, ..Filter::default() })
            .in_case(self.case())
            .plain("scope", Some(Scope::Node.code()))
            .personal("after", after);
        let (reader, audited) = records.read(by, Call::Flips, &filters)?;
        Ok(Reading::new(audited, move |stop, take| {
            let is_over = || stop();
            let read = reader.flip_parts(&window, &is_over, take)?;
            Ok((!read.stopped).then(|| read.passed_over.into()))
        }))
    }
}

impl Rows for AuditRequest {
    type Row = NodeCall;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<NodeCall>, ReadingError> {
        let wanted = self.resolve(records.now())?;
        let filters = wanted.filters().plain("scope", self.scope.as_deref());
        let (audit, audited) = records.read_audit(by, Call::AuditList, &filters)?;
        let (at_node, node, by) = (self.at_node(&wanted), records.node(), by.to_owned());
        let own = OwnCalls { listing: audit.list(wanted)?, node };
        let others = records.asks_others(self)?.zip(Handle::try_current().ok());
        Ok(Reading::new(audited, move |stop, take| match others {
            None => {
                let is_whole = send_rows(own.take_while(|_| !stop()), take)?;
                Ok((is_whole && !stop()).then(Outcome::default))
            }
            Some((others, runtime)) => {
                let asked = AskedNode::all(&others, &by, &runtime, stop);
                list_calls((own, others.own_name()), asked, &at_node, take)
            }
        }))
    }
}

impl Answer for AuditVerifyRequest {
    type Answer = AuditVerificationAnswer;

    fn answer(
        &self,
        records: &Records,
        by: &str,
        stop: &Stop,
    ) -> Result<AuditVerificationAnswer, ReadingError> {
        let filters = Filters::none().plain("scope", self.scope.as_deref());
        let (audit, audited) = records.read_audit(by, Call::AuditVerify, &filters)?;
        let asked = asked(records, self, by, stop)?;
        let (own, others) = reports(&asked, Self::PATH, move || audit.verify())?;
        let own = own?;
        audited.finish();
        Ok(AuditVerificationAnswer::new(own, records.node(), others))
    }
}

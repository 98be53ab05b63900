//! Why a handle is blue or green.

use std::sync::Arc;

use super::{
    call::{Answer, Reading, Rows, Stop},
    error::ReadingError,
    records::Records,
};
use crate::{
    api::{Call as _, Invalid, Timeline, TimelineLine, WhyRequest, page_limit},
    audit::{Audited, Call, Filters},
    clock::Timestamp,
    dispatch::{Dispatch, Preview},
    handle::Handle,
    query_log::{Filter, LogReader, SearchOutcome},
    timeline::{self, Entry, Present, Question, Reuse, Summary},
};

/// One reading of one handle's history, noted already.
struct HandleHistory {
    reader: LogReader,
    dispatch: Option<Dispatch>,
    reuse: Reuse,
    question: Question,
    now: Timestamp,
}

impl HandleHistory {
    fn begin(
        records: &Records,
        by: &str,
        question: Question,
        now: Timestamp,
    ) -> Result<(Self, Audited), ReadingError> {
        let Question { handle, at, since, until, detail, limit } = &question;
        let (handle, since, until) = (Some(handle.clone()), *since, *until);
        let filter = Filter { handle, since, until, ..Filter::default() };
        let all = (*detail == timeline::Detail::All).then_some("all");
        let filters =
            Filters::of(&filter).plain("at", *at).plain("detail", all).plain("limit", *limit);
        let (reader, audited) = records.read(by, Call::Timeline, &filters)?;
        if let Some(at) = at.filter(|at| *at <= reader.horizon()) {
            let oldest = reader.horizon();
            let text = format!("`at` lies before the retention: {at}; records go back to {oldest}");
            return Err(Invalid::new(text).into());
        }
        let (config, dispatch) = (records.dispatch_config(), records.dispatch().cloned());
        let reuse = Reuse { live: config.reuse_live, other: config.reuse_other };
        Ok((Self { reader, dispatch, reuse, question, now }, audited))
    }

    /// None if it was stopped, or nobody takes entries any more.
    fn read(
        &self,
        stop: &Stop,
        take: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<Option<Summary>, ReadingError> {
        // A registry's store cannot be opened without writing to it, so for files the log has to do.
        let present = |handles: &[Handle]| {
            let previews = self.dispatch.as_ref()?.preview(handles).ok()?;
            Some(previews.into_iter().map(present).collect())
        };
        let (stop, asked) = (Arc::clone(stop), (self.reuse, self.now));
        let is_over = move || stop();
        Ok(timeline::read(&self.reader, &self.question, asked, is_over, present, take)?)
    }
}

fn present(preview: Preview) -> Present {
    let Preview { at, decision, holder, through, since, live_until } = preview;
    let (route, reason) = (decision.route, decision.reason);
    Present { at, route, reason, holder, through, since, live_until }
}

impl Rows for WhyRequest {
    type Row = TimelineLine;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<TimelineLine>, ReadingError> {
        let now = records.now();
        let (history, audited) = HandleHistory::begin(records, by, self.resolve(now)?, now)?;
        Ok(Reading::new(audited, move |stop, take| {
            let summary = history.read(stop, &mut |entry| take(TimelineLine::Entry(entry)))?;
            let is_whole =
                summary.is_some_and(|summary| take(TimelineLine::Summary(Box::new(summary))));
            Ok(is_whole.then(SearchOutcome::default))
        }))
    }
}

/// The same as a whole.
impl Answer for WhyRequest {
    type Answer = Timeline;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<Timeline, ReadingError> {
        let now = records.now();
        let question = self.resolve(now)?;
        let limit = Some(page_limit(question.limit)?);
        let question = Question { limit, ..question };
        let (history, mut audited) = HandleHistory::begin(records, by, question, now)?;
        let mut entries = Vec::new();
        let summary = history.read(stop, &mut |entry| {
            entries.push(entry);
            true
        })?;
        let summary = summary.ok_or(ReadingError::Stopped)?;
        audited.add(entries.len() as u64);
        audited.finish();
        Ok(Timeline { entries, summary })
    }
}

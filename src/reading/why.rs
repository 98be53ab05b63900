//! Why a handle is blue or green.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{
    call::{Answer, Reading, Rows, Stop},
    gather::OtherLog,
    outcome::Outcome,
    records::{ReadingError, Records},
};
use crate::{
    api::{Call as _, Invalid, Timeline, TimelineLine, WhyRequest, page_limit},
    audit::{Call, Filters},
    clock::Timestamp,
    query_log::Filter,
    timeline::{self, OwnLog, Question},
};

/// Notes who asks a question, in which case, and begins to read a handle's history.
fn begin(
    records: &Records,
    by: &str,
    (question, case): (Question, Option<&str>),
    now: Timestamp,
) -> Result<Reading<TimelineLine>, ReadingError> {
    let Question { handle, at, since, until, detail, limit } = &question;
    let (handle, since, until) = (Some(handle.clone()), *since, *until);
    let filter = Filter { handle, since, until, ..Filter::default() };
    let all = (*detail == timeline::Detail::All).then_some(*detail);
    let filters = Filters::of(&filter)
        .in_case(case)
        .plain("at", *at)
        .plain("detail", all)
        .plain("limit", *limit);
    let (reader, audited) = records.read(by, Call::Timeline, &filters)?;
    if let Some(at) = at.filter(|at| *at <= reader.horizon()) {
        let oldest = reader.horizon();
        let text = format!("at: {at} lies before the retention; records go back to {oldest}");
        return Err(Invalid::new(text).into());
    }
    let records = records.clone();
    let (by, case) = (by.to_owned(), case.map(str::to_owned));
    // The thread that reads has no runtime of its own.
    let runtime = Handle::try_current().ok();
    Ok(Reading::new(audited, move |stop, take| {
        let others = records.others().zip(runtime.as_ref());
        let name = others.map_or_else(String::new, |(others, _)| others.own_name().to_owned());
        let own = OwnLog::new(name, reader);
        let logs = others.map_or_else(Vec::new, |(others, runtime)| {
            OtherLog::all(others, (&by, case.as_deref()), runtime, stop)
        });
        let summary = timeline::read(
            (&own, &logs),
            &question,
            (records.dispatch_config(), now),
            Arc::clone(stop),
            // A registry's store cannot be opened without writing to it, so for files the log has to do.
            |handles| records.dispatch()?.preview(handles).ok(),
            &mut |entry| take(TimelineLine::Entry(entry)),
        )?;
        let is_whole = summary.is_some_and(|last| take(TimelineLine::Summary(Box::new(last))));
        Ok(is_whole.then(Outcome::default))
    }))
}

impl Rows for WhyRequest {
    type Row = TimelineLine;

    fn begin(&self, records: &Records, by: &str) -> Result<Reading<TimelineLine>, ReadingError> {
        let now = records.now();
        begin(records, by, (self.resolve(now)?, self.case()), now)
    }
}

impl Answer for WhyRequest {
    type Answer = Timeline;

    fn answer(&self, records: &Records, by: &str, stop: &Stop) -> Result<Timeline, ReadingError> {
        let now = records.now();
        let question = self.resolve(now)?;
        let limit = Some(page_limit(question.limit)?);
        let question = Question { limit, ..question };
        let reading = begin(records, by, (question, self.case()), now)?;
        let (mut entries, mut summary) = (Vec::new(), None);
        reading.each(stop, |line| {
            match line {
                TimelineLine::Entry(entry) => entries.push(entry),
                TimelineLine::Summary(last) => summary = Some(*last),
            }
            true
        })?;
        let summary = summary.ok_or(ReadingError::Stopped)?;
        Ok(Timeline { entries, summary, hidden_until: records.hidden_until() })
    }
}

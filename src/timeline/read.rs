//! A handle's rows from the log, in one order.

use std::collections::VecDeque;

use super::{
    entry::Entry,
    question::{Question, STEP},
    summary::Summary,
    walk::Timeline,
};
use crate::{
    clock::Timestamp,
    dispatch::{self, Preview},
    handle::Handle,
    query_log::{Cursor, Filter, Kind, LogReader, LogRow, Order, ReadError, Record, Search},
    vocabulary::ChangeKind,
};

/// The searches that find every row needed: changes from the beginning, then everything from where answers count.
fn searches(
    question: &Question,
    reader: &LogReader,
    reuse: &dispatch::Config,
    now: Timestamp,
) -> Vec<Vec<Search>> {
    let past = question.past(now);
    let may_hold = past.unwrap_or(now).minus(reuse.reuse_live.max(reuse.reuse_other));
    let from = question.since.map(|since| since.min(may_hold));
    let until = past.map(|past| past.plus(STEP).max(question.window_end(now)));
    let search = |kind, since, until| -> Vec<Search> {
        let filter =
            |handle| Filter { handle: Some(handle), kind, since, until, ..Filter::default() };
        let of = |handle| reader.search(&filter(handle), Order::Asc, None);
        question.spellings().map(of).collect()
    };
    let before = from.map(|from| search(Some(Kind::Change), None, Some(from)));
    before.into_iter().chain([search(None, from, until)]).collect()
}

fn bulk_imports(reader: &LogReader) -> Result<Vec<Timestamp>, ReadError> {
    let filter = Filter { without_handle: true, kind: Some(Kind::Change), ..Filter::default() };
    let mut began = Vec::new();
    for row in reader.search(&filter, Order::Asc, None) {
        let (_, row) = row?;
        if let Record::Change(change) = row.record
            && change.kind == ChangeKind::HandleImported
        {
            began.push(row.at);
        }
    }
    Ok(began)
}

/// Rows of several searches in the one order of the log.
struct Merged {
    parts: Vec<(Search, Option<Found>)>,
}

type Found = Result<(Cursor, LogRow), ReadError>;

impl Merged {
    fn new(searches: Vec<Search>) -> Self {
        let first = |mut search: Search| {
            let found = search.next();
            (search, found)
        };
        Self { parts: searches.into_iter().map(first).collect() }
    }
}

impl Iterator for Merged {
    type Item = Result<LogRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        // An error comes before every row.
        let place = |part: &&mut (Search, Option<Found>)| match &part.1 {
            Some(Ok((cursor, _))) => Some(*cursor),
            Some(Err(_)) | None => None,
        };
        let left = self.parts.iter_mut().filter(|(_, found)| found.is_some());
        let (search, found) = left.min_by_key(place)?;
        let next = search.next();
        std::mem::replace(found, next).map(|found| found.map(|(_, row)| row))
    }
}

/// Gives entries to `each` as they come, or only the latest of them at the end.
pub(super) struct Latest<'a> {
    each: &'a mut dyn FnMut(Entry) -> bool,
    limit: Option<usize>,
    kept: VecDeque<Entry>,
    omitted: u64,
}

impl<'a> Latest<'a> {
    /// The latest `limit` entries; all if none.
    pub(super) fn new(limit: Option<usize>, each: &'a mut dyn FnMut(Entry) -> bool) -> Self {
        Self { each, limit, kept: VecDeque::new(), omitted: 0 }
    }

    /// Gives `entries`, or keeps them. False once nobody takes them.
    pub(super) fn offer(&mut self, entries: &mut Vec<Entry>) -> bool {
        let Some(limit) = self.limit else {
            return entries.drain(..).all(&mut *self.each);
        };
        for entry in entries.drain(..) {
            if self.kept.len() >= limit {
                self.omitted += u64::from(self.kept.pop_front().is_some());
            }
            self.kept.push_back(entry);
        }
        true
    }

    /// Gives what was kept. How many were left out; none if nobody takes them any more.
    pub(super) fn finish(mut self) -> Option<u64> {
        self.kept.drain(..).all(&mut *self.each).then_some(self.omitted)
    }
}

/// Reads a handle's history. `each` gets each entry as soon as it is complete and says whether to go on; `is_over` is
/// asked now and then although nothing is found. `present` is asked at the end, once everything is read, what the
/// registry says of the spellings. None if it was ended before.
///
/// # Errors
/// If a segment cannot be read: half a history would explain wrongly. What is damaged is counted in the summary.
pub fn read(
    reader: &LogReader,
    question: &Question,
    (reuse, now): (&dispatch::Config, Timestamp),
    is_over: impl Fn() -> bool + Clone + Send + Sync + 'static,
    present: impl FnOnce(&[Handle]) -> Option<Vec<Preview>>,
    each: &mut dyn FnMut(Entry) -> bool,
) -> Result<Option<Summary>, ReadError> {
    let mut timeline = Timeline::new(question, reuse.clone(), now);
    let (mut out, mut entries) = (Vec::new(), Latest::new(question.limit, each));
    let (mut damaged, mut unreadable_segments) = (0, 0);
    for searches in searches(question, reader, reuse, now) {
        let searches = searches.into_iter().map(|search| search.stop_when(is_over.clone()));
        let mut rows = Merged::new(searches.collect());
        for row in rows.by_ref() {
            let row = row?;
            if timeline.needs_bulk_imports(&row) {
                timeline.set_bulk_imports(bulk_imports(reader)?);
            }
            timeline.row(&row, &mut out);
            if !entries.offer(&mut out) {
                return Ok(None);
            }
        }
        // The searches for two spellings meet the same places.
        let outcomes = || rows.parts.iter().map(|(search, _)| search.outcome());
        damaged += outcomes().map(|outcome| outcome.damaged).max().unwrap_or(0);
        unreadable_segments += outcomes().map(|it| it.unreadable_segments).max().unwrap_or(0);
    }
    if is_over() {
        return Ok(None);
    }
    let spellings: Vec<_> = question.spellings().collect();
    let present = present(&spellings);
    if timeline.needs_bulk_imports_for(present.as_deref()) {
        timeline.set_bulk_imports(bulk_imports(reader)?);
    }
    let summary = timeline.finish(present.as_deref(), &mut out);
    let omitted = entries.offer(&mut out).then(|| entries.finish()).flatten();
    Ok(omitted.map(|omitted| Summary { omitted, damaged, unreadable_segments, ..summary }))
}

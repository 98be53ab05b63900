//! A handle's rows from the logs of all nodes, in one order.

use std::{collections::VecDeque, sync::Arc};

use super::{
    change_order,
    entry::Entry,
    node_log::IsOver,
    nodes::{Logs, Nodes, filters},
    question::{Question, STEP},
    summary::Summary,
    walk::Timeline,
};
use crate::{
    clock::Timestamp,
    dispatch::{self, Preview},
    handle::Handle,
    limits,
    query_log::{Filter, Kind, ReadError, SearchOutcome},
};

/// The filters of every row needed, one for each spelling: changes from the beginning, then everything from where answers count.
fn parts(question: &Question, reuse: &dispatch::Config, now: Timestamp) -> Vec<Vec<Filter>> {
    let past = question.past(now);
    let may_hold = past.unwrap_or(now).minus(reuse.reuse_live.max(reuse.reuse_other));
    let from = question.since.map(|since| since.min(may_hold));
    let until = past.map(|past| past.plus(STEP).max(question.window_end(now)));
    let before = from.map(|from| filters(question, Some(Kind::Change), None, Some(from)));
    before.into_iter().chain([filters(question, None, from, until)]).collect()
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

/// Reads a handle's history from the `logs` of all nodes. `each` gets each entry as soon as it is complete and says whether to go on;
/// `is_over` is asked now and then although nothing is found. `present` is asked at the end, once everything is read, what the
/// registry says of the spellings. None if it was ended before.
///
/// # Errors
/// If a segment of this node's log cannot be read: half a history would explain wrongly. What is damaged is counted in the summary, which
/// also names the nodes that do not answer.
pub fn read(
    logs: Logs<'_>,
    question: &Question,
    (reuse, now): (&dispatch::Config, Timestamp),
    is_over: IsOver,
    present: impl FnOnce(&[Handle]) -> Option<Vec<Preview>>,
    each: &mut dyn FnMut(Entry) -> bool,
) -> Result<Option<Summary>, ReadError> {
    let mut timeline = Timeline::new(question, reuse.clone(), now);
    let (mut out, mut entries) = (Vec::new(), Latest::new(question.limit, each));
    let mut nodes = Nodes::new(logs, Arc::clone(&is_over));
    let order = if nodes.is_alone {
        // One log has its order.
        Vec::new()
    } else {
        change_order::merge(&nodes.recorded(question)?, now.minus(limits::TIMELINE_FRESH))
    };
    let mut rows = nodes.rows(&parts(question, reuse, now), order);
    for row in rows.by_ref() {
        let row = row?;
        if timeline.needs_bulk_imports(&row) {
            timeline.set_bulk_imports(nodes.bulk_imports()?);
        }
        timeline.row(&row, &mut out);
        if !entries.offer(&mut out) {
            return Ok(None);
        }
    }
    let SearchOutcome { damaged, unreadable_segments } = nodes.end(&rows);
    if is_over() {
        return Ok(None);
    }
    let spellings: Vec<_> = question.spellings().collect();
    let present = present(&spellings);
    if timeline.needs_bulk_imports_for(present.as_deref()) {
        timeline.set_bulk_imports(nodes.bulk_imports()?);
    }
    let gone = nodes.into_gone();
    let summary = timeline.finish(present.as_deref(), gone, &mut out);
    let omitted = entries.offer(&mut out).then(|| entries.finish()).flatten();
    Ok(omitted.map(|omitted| Summary { omitted, damaged, unreadable_segments, ..summary }))
}

//! A handle's rows from the logs of all nodes, in one order.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    change_order::{self, Recorded},
    entry::Entry,
    interleave::Interleave,
    node_log::{IsOver, NodeLog, NodeLogError, NodeRows},
    question::{Question, STEP},
    summary::Summary,
    walk::Timeline,
};
use crate::{
    clock::Timestamp,
    dispatch::{self, Preview},
    handle::Handle,
    limits,
    query_log::{Filter, Kind, LogRow, NodeFromStore, ReadError, Record, SearchOutcome},
    vocabulary::{ChangeKind, MissingNode},
};

/// The filters of every row needed, one for each spelling: changes from the beginning, then everything from where answers count.
fn parts(
    question: &Question,
    reuse: &dispatch::Config,
    now: Timestamp,
) -> impl Iterator<Item = Vec<Filter>> + use<> {
    let past = question.past(now);
    let may_hold = past.unwrap_or(now).minus(reuse.reuse_live.max(reuse.reuse_other));
    let from = question.since.map(|since| since.min(may_hold));
    let until = past.map(|past| past.plus(STEP).max(question.window_end(now)));
    let before = from.map(|from| filters(question, Some(Kind::Change), None, Some(from)));
    before.into_iter().chain([filters(question, None, from, until)])
}

fn filters(
    question: &Question,
    kind: Option<Kind>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Vec<Filter> {
    let of = |handle| Filter { handle: Some(handle), kind, since, until, ..Filter::default() };
    question.spellings().map(of).collect()
}

/// What is read of one node, part by part.
struct Parts<'a> {
    log: &'a dyn NodeLog,
    left: VecDeque<Vec<Filter>>,
    open: Option<Box<dyn NodeRows>>,
    is_over: IsOver,
    /// Changes that may still come. None on one machine: its log is read as it is.
    changes_left: Option<usize>,
    /// Of the parts that were read to the end.
    outcome: SearchOutcome,
    /// Why it gives no more.
    missing: Option<String>,
    /// How far its copies reach, if rows came from there.
    from_store: Option<NodeFromStore>,
}

impl<'a> Parts<'a> {
    fn new(
        log: &'a dyn NodeLog,
        parts: impl IntoIterator<Item = Vec<Filter>>,
        is_over: &IsOver,
        changes_left: Option<usize>,
    ) -> Self {
        Self {
            log,
            left: parts.into_iter().collect(),
            open: None,
            is_over: Arc::clone(is_over),
            changes_left,
            outcome: SearchOutcome::default(),
            missing: None,
            from_store: None,
        }
    }

    fn close(&mut self) {
        if let Some(rows) = self.open.take() {
            self.outcome += rows.outcome();
            add(&mut self.from_store, rows.in_store());
        }
    }

    /// Whether a row is one of as many changes as may come. Each of them is kept.
    fn is_within_bound(&mut self, row: &LogRow) -> bool {
        match &mut self.changes_left {
            Some(left) if row.record.change_id().is_some() => {
                let is_within = *left > 0;
                *left = left.saturating_sub(1);
                is_within
            }
            _ => true,
        }
    }

    fn give_up(&mut self, why: String) {
        self.missing = Some(why);
        self.left.clear();
        self.close();
    }
}

fn add(all: &mut Option<NodeFromStore>, found: Option<NodeFromStore>) {
    match (all, found) {
        (_, None) => {}
        (Some(all), Some(found)) => all.add(found),
        (all, found) => *all = found,
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<LogRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.open.is_none() {
                let filters = self.left.pop_front()?;
                self.open = Some(self.log.rows(filters, &self.is_over));
            }
            match self.open.as_mut().and_then(Iterator::next) {
                Some(Ok(row)) if self.is_within_bound(&row) => return Some(Ok(row)),
                Some(Ok(_)) => {
                    let most = limits::TIMELINE_CHANGES_MAX;
                    self.give_up(format!("it has more than {most} changes of the handle"));
                    return None;
                }
                Some(Err(NodeLogError::Read(error))) => return Some(Err(error)),
                Some(Err(NodeLogError::Missing(why))) => {
                    self.give_up(why);
                    return None;
                }
                None => self.close(),
            }
        }
    }
}

/// The log of this node and those of the others.
pub type Logs<'a> = (&'a dyn NodeLog, &'a [Box<dyn NodeLog>]);

/// The logs of the nodes that can be read, in the order of their names, and what is known of the others.
struct Nodes<'a> {
    own: &'a dyn NodeLog,
    is_alone: bool,
    logs: Vec<&'a dyn NodeLog>,
    missing: BTreeMap<String, String>,
    from_store: BTreeMap<String, Option<NodeFromStore>>,
    is_over: IsOver,
}

impl<'a> Nodes<'a> {
    fn new((own, others): Logs<'a>, is_over: IsOver) -> Self {
        let mut logs = vec![own];
        for log in others {
            logs.push(log.as_ref());
        }
        logs.sort_by_key(|log| log.node());
        let (missing, from_store) = (BTreeMap::new(), BTreeMap::new());
        Self { own, is_alone: others.is_empty(), logs, missing, from_store, is_over }
    }

    fn read(
        &self,
        log: &'a dyn NodeLog,
        parts: impl IntoIterator<Item = Vec<Filter>>,
    ) -> Parts<'a> {
        let changes_left = (!self.is_alone).then_some(limits::TIMELINE_CHANGES_MAX);
        Parts::new(log, parts, &self.is_over, changes_left)
    }

    fn note(
        &mut self,
        log: &dyn NodeLog,
        missing: Option<String>,
        from_store: Option<NodeFromStore>,
    ) {
        if let Some(why) = missing {
            self.missing.entry(log.node().to_owned()).or_insert(why);
        }
        add(self.from_store.entry(log.node().to_owned()).or_default(), from_store);
    }

    /// What each node recorded of changes to the handle, in all of its log: a node may record a change hours after another one. Leaves
    /// out the nodes that do not answer.
    fn recorded(&mut self, question: &Question) -> Result<Vec<Recorded>, ReadError> {
        let (mut lists, mut logs) = (Vec::new(), Vec::new());
        for log in self.logs.clone() {
            let mut rows = self.read(log, [filters(question, Some(Kind::Change), None, None)]);
            let mut list = Recorded::new();
            for row in rows.by_ref() {
                let row = row?;
                if let Record::Change(change) = row.record {
                    list.push((change.id, row.at));
                }
            }
            let (missing, from_store) = (rows.missing, rows.from_store);
            if missing.is_none() {
                lists.push(list);
                logs.push(log);
            }
            self.note(log, missing, from_store);
        }
        self.logs = logs;
        Ok(lists)
    }

    /// When large imports began, oldest first, as this node recorded them. Over several nodes the instant of the decision counts, which is
    /// the same on all of them.
    fn bulk_imports(&self) -> Result<Vec<Timestamp>, ReadError> {
        let kind = Some(Kind::Change);
        let filter = Filter { without_handle: true, kind, ..Filter::default() };
        let mut began = Vec::new();
        // Only the instants of the large ones are kept.
        for row in Parts::new(self.own, [vec![filter]], &self.is_over, None) {
            let row = row?;
            if let Record::Change(change) = row.record
                && change.kind == ChangeKind::HandleImported
            {
                let decided = Timestamp::from_micros(change.id.decided_us());
                began.push(if self.is_alone { row.at } else { row.at.min(decided) });
            }
        }
        Ok(began)
    }

    /// What is known of nodes whose answers ended early, and what all of them could not read.
    fn end(&mut self, rows: &Interleave<Parts<'_>, LogRow, ReadError>) -> SearchOutcome {
        let mut outcome = SearchOutcome::default();
        for part in rows.nodes() {
            outcome += part.outcome;
            self.note(part.log, part.missing.clone(), part.from_store.clone());
        }
        outcome
    }

    /// The nodes of which rows are missing, and those whose copies were read.
    fn into_gone(self) -> (Vec<MissingNode>, Vec<NodeFromStore>) {
        let missing = self.missing.into_iter().map(|(node, why)| MissingNode { node, why });
        (missing.collect(), self.from_store.into_values().flatten().collect())
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
    let of_each = nodes.logs.iter().map(|log| nodes.read(*log, parts(question, reuse, now)));
    let mut rows = Interleave::new(of_each.collect(), order);
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

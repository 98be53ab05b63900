//! The logs of all nodes, as a timeline reads them: all at the same time, since each node may have to read its whole log for an answer.

use std::{
    collections::{BTreeMap, VecDeque},
    panic::resume_unwind,
    sync::Arc,
    thread,
};

use super::{
    change_order::{KnownChange, Recorded},
    interleave::Interleave,
    node_log::{IsOver, NodeLog, NodeLogError, NodeRows},
    question::Question,
};
use crate::{
    clock::Timestamp,
    limits,
    query_log::{Filter, Kind, LogRow, NodeFromStore, ReadError, Record, SearchOutcome},
    vocabulary::{ChangeKind, MissingNode},
};

/// The log of this node and those of the others.
pub type Logs<'a> = (&'a dyn NodeLog, &'a [Box<dyn NodeLog>]);

/// One filter for each spelling of the question's handle.
pub(super) fn filters(
    question: &Question,
    kind: Option<Kind>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Vec<Filter> {
    let of = |handle| Filter { handle: Some(handle), kind, since, until, ..Filter::default() };
    question.spellings().map(of).collect()
}

/// What is read of one node, part by part.
pub(super) struct Parts<'a> {
    log: &'a dyn NodeLog,
    left: VecDeque<Vec<Filter>>,
    open: Option<Box<dyn NodeRows>>,
    /// The first row, until it is given.
    first: Option<Result<LogRow, ReadError>>,
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
            first: None,
            is_over: Arc::clone(is_over),
            changes_left,
            outcome: SearchOutcome::default(),
            missing: None,
            from_store: None,
        }
    }

    /// Reads the first row.
    fn begun(mut self) -> Self {
        self.first = self.read_on();
        self
    }

    fn read_on(&mut self) -> Option<Result<LogRow, ReadError>> {
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
        self.first.take().or_else(|| self.read_on())
    }
}

/// The logs of the nodes that can be read, in the order of their names, and what is known of the others.
pub(super) struct Nodes<'a> {
    own: &'a dyn NodeLog,
    pub(super) is_alone: bool,
    logs: Vec<&'a dyn NodeLog>,
    missing: BTreeMap<String, String>,
    from_store: BTreeMap<String, Option<NodeFromStore>>,
    is_over: IsOver,
}

impl<'a> Nodes<'a> {
    pub(super) fn new((own, others): Logs<'a>, is_over: IsOver) -> Self {
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
    pub(super) fn recorded(&mut self, question: &Question) -> Result<Vec<Recorded>, ReadError> {
        let filters = filters(question, Some(Kind::Change), None, None);
        let read = |log| {
            let mut rows = self.read(log, [filters.clone()]);
            let list = rows.by_ref().filter_map(|row| match row {
                Ok(LogRow { at, record: Record::Change(change) }) => Some(Ok((change.id, at))),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            });
            (list.collect::<Result<Recorded, _>>(), rows)
        };
        let (mut lists, mut logs) = (Vec::new(), Vec::new());
        for (list, rows) in at_once(self.logs.clone(), read) {
            let list = list?;
            if rows.missing.is_none() {
                lists.push(list);
                logs.push(rows.log);
            }
            self.note(rows.log, rows.missing, rows.from_store);
        }
        self.logs = logs;
        Ok(lists)
    }

    /// The rows of all nodes in one order. `order` is merged from the lists of [`Self::recorded`], or empty on one machine.
    pub(super) fn rows(
        &self,
        parts: &[Vec<Filter>],
        order: Vec<KnownChange>,
    ) -> Interleave<Parts<'a>, LogRow, ReadError> {
        let read = |log| self.read(log, parts.to_vec()).begun();
        Interleave::new(at_once(self.logs.clone(), read), order)
    }

    /// When large imports began, oldest first, as this node recorded them. Over several nodes the instant of the decision counts, which is
    /// the same on all of them.
    pub(super) fn bulk_imports(&self) -> Result<Vec<Timestamp>, ReadError> {
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
    pub(super) fn end(&mut self, rows: &Interleave<Parts<'_>, LogRow, ReadError>) -> SearchOutcome {
        let mut outcome = SearchOutcome::default();
        for part in rows.nodes() {
            outcome += part.outcome;
            self.note(part.log, part.missing.clone(), part.from_store.clone());
        }
        outcome
    }

    /// The nodes of which rows are missing, and those whose copies were read.
    pub(super) fn into_gone(self) -> (Vec<MissingNode>, Vec<NodeFromStore>) {
        let missing = self.missing.into_iter().map(|(node, why)| MissingNode { node, why });
        (missing.collect(), self.from_store.into_values().flatten().collect())
    }
}

/// Does the same for each of them at the same time, the last one on this thread. Returns the results in their order.
fn at_once<T: Send, R: Send>(mut each: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (last, work) = (each.pop(), &work);
    thread::scope(|scope| {
        let threads: Vec<_> = each.into_iter().map(|one| scope.spawn(move || work(one))).collect();
        let last = last.map(work);
        let joined = threads.into_iter().map(|it| it.join().unwrap_or_else(|it| resume_unwind(it)));
        joined.chain(last).collect()
    })
}

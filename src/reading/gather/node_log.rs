//! [`OtherLog`]: the log of another node, as a timeline reads it.

use std::sync::OnceLock;

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::{
    asked_node::AskedNode,
    lost_part::{LostNode, LostPart},
    node_search::{NodeSearch, SearchCall},
};
use crate::{
    api::{Paging, RecordFilter, SearchRequest},
    cluster::Others,
    query_log::{Cursor, Filter, LogRow, LostLog, NodeFromStore, Order, SearchOutcome},
    reading::call::Stop,
    timeline::{IsOver, NodeLog, NodeLogError, NodeRows},
};

/// The log of another node.
pub(in crate::reading) struct OtherLog {
    asked: AskedNode,
    case: Option<String>,
    /// Why the node is gone, once it is: then a timeline reads its copies to the end.
    gone: OnceLock<String>,
}

/// The log of a node that was removed.
struct RemovedLog {
    node: LostNode,
    stop: Stop,
}

impl OtherLog {
    /// Those of all other nodes, which `operator` asks in this case. Waits for the object store, if there is one.
    pub(in crate::reading) fn all(
        others: &Others,
        (operator, case): (&str, Option<&str>),
        runtime: &Handle,
        stop: &Stop,
    ) -> Vec<Box<dyn NodeLog>> {
        let log = |asked| -> Box<dyn NodeLog> {
            Box::new(Self { asked, case: case.map(str::to_owned), gone: OnceLock::new() })
        };
        let removed = |node: LostNode| -> Box<dyn NodeLog> {
            Box::new(RemovedLog { node, stop: stop.clone() })
        };
        let (asked, gone) = AskedNode::all_and_removed(others, operator, runtime, stop);
        let gone = gone.into_iter().map(|(_, node)| removed(node));
        asked.into_iter().map(log).chain(gone).collect()
    }

    fn request(&self, filter: &Filter) -> SearchRequest {
        let handle = filter.handle.as_ref().map(|handle| handle.canonical().into_owned());
        let of_handle = RecordFilter { handle, case: self.case.clone(), ..RecordFilter::default() };
        let order = Some(Order::Asc.code().to_owned());
        let page = Paging { order, ..Paging::default() };
        SearchRequest { filter: of_handle.at_node(filter), page }
    }
}

impl NodeLog for OtherLog {
    fn node(&self) -> &str {
        &self.asked.member.name
    }

    fn rows(&self, filters: Vec<Filter>, _: &IsOver) -> Box<dyn NodeRows> {
        let search = |filter: &Filter| {
            let (asked, request) = (self.asked.clone(), self.request(filter));
            let mut search = NodeSearch::asked(asked, SearchCall::new(request, filter.clone()));
            self.gone.get().into_iter().for_each(|why| search.take_for_gone(why));
            search
        };
        let mut searches: Vec<_> = filters.iter().map(search).collect();
        let begun = searches.iter_mut().map(NodeSearch::begin);
        self.asked.wait(join_all(begun));
        let rows = OtherRows::new(searches.into_iter());
        if let Some(why) = rows.parts.iter().find_map(|part| part.rows.gone()) {
            self.gone.get_or_init(|| why.to_owned());
        }
        Box::new(rows)
    }
}

impl NodeLog for RemovedLog {
    fn node(&self) -> &str {
        &self.node.name
    }

    fn rows(&self, filters: Vec<Filter>, _: &IsOver) -> Box<dyn NodeRows> {
        let part = |filter: &Filter| {
            let read = |log: &LostLog, stop| log.search(filter, Order::Asc, None, stop);
            NodeSearch::removed(LostPart::new(self.node.clone(), filter.until, read, &self.stop))
        };
        Box::new(OtherRows::new(filters.iter().map(part)))
    }
}

struct Part {
    rows: NodeSearch,
    head: Option<(Cursor, LogRow)>,
}

/// Rows of several searches in the one order of the node's log.
struct OtherRows {
    parts: Vec<Part>,
    missing: Option<String>,
}

impl OtherRows {
    fn new(parts: impl Iterator<Item = NodeSearch>) -> Self {
        let parts = parts.map(|rows| Part { rows, head: None }).collect();
        let mut rows = Self { parts, missing: None };
        (0..rows.parts.len()).for_each(|part| rows.read_on(part));
        rows
    }

    fn read_on(&mut self, part: usize) {
        let Some(Part { rows, head }) = self.parts.get_mut(part) else { return };
        match rows.next() {
            Some(row) => *head = Some(row),
            None => {
                if let Some(missing) = rows.missing() {
                    self.missing.get_or_insert(missing.why);
                }
            }
        }
    }
}

impl Iterator for OtherRows {
    type Item = Result<LogRow, NodeLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        // What one search lacks would stand before rows of the other.
        if let Some(why) = self.missing.take() {
            self.parts.clear();
            return Some(Err(NodeLogError::Missing(why)));
        }
        let heads = self.parts.iter().enumerate();
        let heads = heads.filter_map(|(part, it)| Some((it.head.as_ref()?.0, part)));
        let (_, next) = heads.min()?;
        let (_, row) = self.parts.get_mut(next)?.head.take()?;
        self.read_on(next);
        Some(Ok(row))
    }
}

impl NodeRows for OtherRows {
    fn outcome(&self) -> SearchOutcome {
        let outcomes = self.parts.iter().map(|part| part.rows.passed_over());
        outcomes.fold(SearchOutcome::default(), SearchOutcome::max)
    }

    fn in_store(&self) -> Option<NodeFromStore> {
        let mut parts = self.parts.iter().filter_map(|part| part.rows.in_store());
        let mut all = parts.next()?;
        parts.for_each(|part| all.add(part));
        Some(all)
    }
}

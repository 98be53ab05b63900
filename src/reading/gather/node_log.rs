//! [`OtherLog`]: the log of another node, as a timeline reads it.

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::{asked_node::AskedNode, merge::Item, node_search::NodeSearch};
use crate::{
    api::{Paging, RecordFilter, SearchRequest},
    cluster::Others,
    query_log::{Cursor, Filter, LogRow, Order, Record, SearchOutcome},
    reading::call::Stop,
    timeline::{IsOver, NodeLog, NodeLogError, NodeRows},
};

/// The log of another node.
pub(in crate::reading) struct OtherLog {
    asked: AskedNode,
    case: Option<String>,
}

impl OtherLog {
    /// Those of all other nodes, which `operator` asks in this case.
    pub(in crate::reading) fn all(
        others: &Others,
        (operator, case): (&str, Option<&str>),
        runtime: &Handle,
        stop: &Stop,
    ) -> Vec<Box<dyn NodeLog>> {
        let log =
            |asked| -> Box<dyn NodeLog> { Box::new(Self { asked, case: case.map(str::to_owned) }) };
        AskedNode::all(others, operator, runtime, stop).into_iter().map(log).collect()
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
        let mut searches: Vec<_> =
            filters.iter().map(|_| NodeSearch::new(self.asked.clone())).collect();
        let begun = searches
            .iter_mut()
            .zip(&filters)
            .map(|(search, filter)| search.begin(self.request(filter)));
        self.asked.wait(join_all(begun));
        let parts = searches.into_iter().map(|search| Part { search, head: None });
        let mut rows = OtherRows { parts: parts.collect(), missing: None };
        (0..rows.parts.len()).for_each(|part| rows.read_on(part));
        Box::new(rows)
    }
}

struct Part {
    search: NodeSearch,
    head: Option<(Cursor, LogRow)>,
}

/// Rows of several searches in the one order of the node's log.
struct OtherRows {
    parts: Vec<Part>,
    missing: Option<String>,
}

impl OtherRows {
    fn read_on(&mut self, part: usize) {
        let Some(Part { search, head }) = self.parts.get_mut(part) else { return };
        match search.next() {
            Some(Item { row: (place, mut row), change, .. }) => {
                // JSON lacks it in the record itself.
                if let (Record::Change(record), Some(id)) = (&mut row.record, change) {
                    record.id = id;
                }
                *head = Some((place, row));
            }
            None => {
                if let Some(missing) = search.missing() {
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
        let outcomes = self.parts.iter().map(|part| part.search.passed_over());
        outcomes.fold(SearchOutcome::default(), SearchOutcome::max)
    }
}

//! [`OtherLog`]: the log of another node, as a timeline reads it.

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::{
    asked_node::AskedNode,
    node_answer::NodeAnswer,
    node_search::{NodeSearch, SearchCall},
};
use crate::{
    api::{Scope, SearchRequest},
    cluster::Others,
    query_log::{Cursor, Filter, LogRow, Order, SearchOutcome},
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
        let mut request = SearchRequest::default();
        request.filter.scope = Some(Scope::Node.code().to_owned());
        request.filter.handle =
            filter.handle.as_ref().map(|handle| handle.canonical().into_owned());
        request.filter.kind = filter.kind.map(|kind| kind.code().to_owned());
        request.filter.since = filter.since.map(|since| since.to_string());
        request.filter.until = filter.until.map(|until| until.to_string());
        request.filter.case = self.case.clone();
        request.page.order = Some(Order::Asc.code().to_owned());
        request
    }
}

impl NodeLog for OtherLog {
    fn node(&self) -> &str {
        &self.asked.member.name
    }

    fn rows(&self, filters: Vec<Filter>, _: &IsOver) -> Box<dyn NodeRows> {
        let search = |filter: &Filter| {
            NodeAnswer::new(self.asked.clone(), SearchCall::new(self.request(filter)))
        };
        let mut searches: Vec<_> = filters.iter().map(search).collect();
        let begun = searches.iter_mut().map(NodeAnswer::begin);
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
            Some(row) => *head = Some(row),
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
        let mut most = SearchOutcome::default();
        for part in &self.parts {
            let SearchOutcome { damaged, unreadable_segments } = part.search.passed_over();
            most.damaged = most.damaged.max(damaged);
            most.unreadable_segments = most.unreadable_segments.max(unreadable_segments);
        }
        most
    }
}

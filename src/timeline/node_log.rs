//! The log of one node, as a timeline reads it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    clock::Timestamp,
    query_log::{Cursor, Filter, LogReader, LogRow, Order, ReadError, Search, SearchOutcome},
};

/// Asked now and then while rows are read: whether nobody wants them any more.
pub type IsOver = Arc<dyn Fn() -> bool + Send + Sync>;

/// Why a log gives no more rows.
#[derive(Debug, thiserror::Error)]
pub enum NodeLogError {
    /// The log of this node cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another node does not answer, or its answer broke off. The text says why.
    #[error("{0}")]
    Missing(String),
}

/// A node that is gone and whose part of an answer was read from the copies of its log in the object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeFromStore {
    /// Its name. Of a node that was removed from the cluster, its number follows: another node may have the same name by now.
    #[schema(example = "c")]
    pub node: String,
    /// Why it was not asked itself.
    #[schema(example = "no answer: Connection refused (os error 111)")]
    pub why: String,
    /// The instant of its newest record that was copied: what it recorded later is missing. Null if no record could be read.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Whether nothing is missing: the node was removed, its log was ended by a stop, and all of it could be read that was asked for.
    pub complete: bool,
    /// Where records up to then are missing, or may be: segments whose copies are damaged or gone, and hours of which nothing was copied
    /// although they have a key. At most eight of each look; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub gaps: Vec<String>,
}

impl NodeFromStore {
    /// Adds what another look at the same node found.
    pub(crate) fn add(&mut self, other: Self) {
        self.until = self.until.max(other.until);
        self.complete &= other.complete;
        let new: Vec<_> = other.gaps.into_iter().filter(|it| !self.gaps.contains(it)).collect();
        self.gaps.extend(new);
    }
}

/// The log of this node, or of another node of the same cluster.
pub trait NodeLog {
    /// The node's name; empty on a machine that belongs to no cluster.
    fn node(&self) -> &str;

    /// The rows that match any of `filters`, in the order in which the node recorded them. They end early once `is_over`.
    fn rows(&self, filters: Vec<Filter>, is_over: &IsOver) -> Box<dyn NodeRows>;
}

/// Rows of one node.
pub trait NodeRows: Iterator<Item = Result<LogRow, NodeLogError>> {
    /// What could not be read so far.
    fn outcome(&self) -> SearchOutcome;

    /// The node, if the rows come from its copies in the object store.
    fn in_store(&self) -> Option<NodeFromStore> {
        None
    }
}

/// The log that this process reads itself.
pub struct OwnLog {
    node: String,
    reader: LogReader,
}

impl OwnLog {
    /// The log of the node with this name.
    pub const fn new(node: String, reader: LogReader) -> Self {
        Self { node, reader }
    }
}

impl NodeLog for OwnLog {
    fn node(&self) -> &str {
        &self.node
    }

    fn rows(&self, filters: Vec<Filter>, is_over: &IsOver) -> Box<dyn NodeRows> {
        let search = |filter: Filter| {
            let is_over = Arc::clone(is_over);
            self.reader.search(&filter, Order::Asc, None).stop_when(move || is_over())
        };
        Box::new(Merged::new(filters.into_iter().map(search)))
    }
}

/// Rows of several searches in the one order of the log.
struct Merged {
    parts: Vec<(Search, Option<Found>)>,
}

type Found = Result<(Cursor, LogRow), ReadError>;

impl Merged {
    fn new(searches: impl Iterator<Item = Search>) -> Self {
        let first = |mut search: Search| {
            let found = search.next();
            (search, found)
        };
        Self { parts: searches.map(first).collect() }
    }
}

impl Iterator for Merged {
    type Item = Result<LogRow, NodeLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        // An error comes before every row.
        let place = |part: &&mut (Search, Option<Found>)| match &part.1 {
            Some(Ok((cursor, _))) => Some(*cursor),
            Some(Err(_)) | None => None,
        };
        let left = self.parts.iter_mut().filter(|(_, found)| found.is_some());
        let (search, found) = left.min_by_key(place)?;
        let next = search.next();
        let row = std::mem::replace(found, next)?;
        Some(row.map(|(_, row)| row).map_err(NodeLogError::Read))
    }
}

impl NodeRows for Merged {
    fn outcome(&self) -> SearchOutcome {
        // The searches for two spellings meet the same places.
        let outcomes = self.parts.iter().map(|(search, _)| search.outcome());
        outcomes.fold(SearchOutcome::default(), SearchOutcome::max)
    }
}

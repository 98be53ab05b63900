//! The log of one node, as a timeline reads it.

use std::sync::Arc;

use crate::query_log::{
    Cursor, Filter, LogReader, LogRow, NodeFromStore, Order, ReadError, Search, SearchOutcome,
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

/// The log of this node, or of another node of the same cluster. All are read at the same time, on several threads.
pub trait NodeLog: Sync {
    /// The node's name; empty on a machine that belongs to no cluster.
    fn node(&self) -> &str;

    /// The rows that match any of `filters`, in the order in which the node recorded them. They end early once `is_over`. Waits until the first
    /// of them is found.
    fn rows(&self, filters: Vec<Filter>, is_over: &IsOver) -> Box<dyn NodeRows>;
}

/// Rows of one node.
pub trait NodeRows: Iterator<Item = Result<LogRow, NodeLogError>> + Send {
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

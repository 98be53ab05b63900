//! [`NodeSearch`]: the rows of a search in the log of another node.

use super::{
    asked_node::{AskedNode, Failure, end_of},
    merge::Item,
};
use crate::{
    api::{FoundRow, SearchRequest},
    cluster::{ClientError, PartLines},
    query_log::{Cursor, LogRow, Order, SearchOutcome},
    timeline::MissingNode,
};

/// A search in the log of another node. Each row has its place there, so an answer that breaks off is continued: a node gives up an answer
/// that nobody reads for a while, and this one reads none of it while it waits for a third node.
pub(super) struct NodeSearch {
    asked: AskedNode,
    request: SearchRequest,
    /// Rows that one answer has at most; none for all.
    limit: Option<u64>,
    /// The place of the last row that came: the next one must lie behind it.
    last: Option<Cursor>,
    /// None once it is over.
    lines: Option<PartLines>,
    /// Rows of this answer that have come.
    came: u64,
    passed_over: SearchOutcome,
    missing: Option<MissingNode>,
}

impl NodeSearch {
    /// A search in the log of this node. Nothing is asked yet, and without [`Self::begin`] there are no rows.
    pub(super) fn new(asked: AskedNode) -> Self {
        let (request, passed_over) = (SearchRequest::default(), SearchOutcome::default());
        let (limit, last, lines, missing) = (None, None, None, None);
        Self { asked, request, limit, last, lines, came: 0, passed_over, missing }
    }

    /// Begins with a request that is limited to the node.
    pub(super) async fn begin(&mut self, request: SearchRequest) {
        self.limit = request.page.limit.as_ref().and_then(|limit| limit.parse().ok());
        self.last = request.page.cursor.as_ref().and_then(|cursor| cursor.parse().ok());
        self.request = request;
        if let Err(failure) = self.open().await {
            self.fail(failure);
        }
    }

    /// The node, if rows of it are missing.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        self.missing.clone()
    }

    /// What the node could not read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        self.passed_over
    }

    /// The next row; none if there is no more, or the node gives none.
    pub(super) fn next(&mut self) -> Option<Item<(Cursor, LogRow)>> {
        loop {
            let lines = self.lines.as_mut()?;
            let next = match self.asked.next_line(lines) {
                Ok(Some(line)) => self.read(&line),
                Ok(None) => self.end(),
                Err(Failure::Missing(_)) if self.came > 0 => self.reopen(),
                Err(failure) => Err(failure),
            };
            match next {
                Ok(Some(item)) => return Some(item),
                Ok(None) => {}
                Err(failure) => self.fail(failure),
            }
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<Option<Item<(Cursor, LogRow)>>, Failure> {
        let row = serde_json::from_slice::<FoundRow>(line).ok().and_then(FoundRow::into_placed);
        let (place, row, change) = row.ok_or(ClientError::Unreadable)?;
        // A node that sends for ever, or the same again, would never end.
        let is_ascending = self.request.page.order.as_deref() == Some(Order::Asc.code());
        let is_behind = |last: Cursor| if is_ascending { last < place } else { place < last };
        if !self.last.is_none_or(is_behind) {
            return Err(ClientError::Unreadable.into());
        }
        self.last = Some(place);
        self.came += 1;
        self.request.page.cursor = Some(place.to_string());
        Ok(Some(Item { at: row.at, change, row: (place, row) }))
    }

    /// The answer is complete. It may have had as many rows as it may have.
    fn end(&mut self) -> Result<Option<Item<(Cursor, LogRow)>>, Failure> {
        let Some(lines) = self.lines.take() else { return Ok(None) };
        self.passed_over += end_of(&lines, self.came)?;
        if self.limit.is_some_and(|limit| limit <= self.came) { self.reopen() } else { Ok(None) }
    }

    fn reopen(&mut self) -> Result<Option<Item<(Cursor, LogRow)>>, Failure> {
        let asked = self.asked.clone();
        asked.wait(self.open()).map(|()| None)
    }

    async fn open(&mut self) -> Result<(), Failure> {
        self.lines = None;
        let lines = self.asked.lines_posted(&self.request).await?;
        (self.lines, self.came) = (Some(lines), 0);
        Ok(())
    }

    fn fail(&mut self, failure: Failure) {
        self.lines = None;
        if let Failure::Missing(why) = failure {
            self.missing = Some(self.asked.missing(&why));
        }
    }
}

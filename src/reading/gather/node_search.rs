//! [`NodeSearch`]: the rows of a search in the log of another node.

use super::{
    asked_node::{AskedNode, Failure},
    lost_part::LostPart,
    merge::Item,
};
use crate::{
    api::{Call as _, FoundRow, SearchRequest},
    cluster::{ClientError, PartLines},
    query_log::{Cursor, Filter, LogRow, LostLog, Order, SearchOutcome},
    reading::outcome::{Outcome, RECORDS},
    timeline::{MissingNode, NodeFromStore},
};

/// A search in the log of another node. Each row has its place there, so an answer that breaks off is continued: a node gives up an answer
/// that nobody reads for a while, and this one reads none of it while it waits for a third node. Once the node is gone, its copies are read
/// behind that place.
pub(super) struct NodeSearch {
    asked: AskedNode,
    request: SearchRequest,
    /// What the request means.
    filter: Filter,
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
    /// Why the node is gone.
    gone: Option<String>,
    /// Its copies, once they are read.
    lost: Option<LostPart>,
}

impl NodeSearch {
    /// A search in the log of this node. Nothing is asked yet, and without [`Self::begin`] there are no rows.
    pub(super) fn new(asked: AskedNode) -> Self {
        let (request, passed_over) = (SearchRequest::default(), SearchOutcome::default());
        let (limit, last, lines, missing, gone, lost) = (None, None, None, None, None, None);
        let filter = Filter::default();
        Self {
            asked,
            request,
            filter,
            limit,
            last,
            lines,
            came: 0,
            passed_over,
            missing,
            gone,
            lost,
        }
    }

    /// Takes the node for gone, for this reason: it is not asked again.
    pub(super) fn take_for_gone(&mut self, why: &str) {
        self.gone = Some(why.to_owned());
        let (node, why) = (self.asked.member.name.clone(), why.to_owned());
        self.missing = Some(MissingNode { node, why });
    }

    /// Begins with a request for what `filter` says that is limited to the node.
    pub(super) async fn begin(&mut self, request: SearchRequest, filter: Filter) {
        self.filter = filter;
        self.limit = request.page.limit.as_ref().and_then(|limit| limit.parse().ok());
        self.last = request.page.cursor.as_ref().and_then(|cursor| cursor.parse().ok());
        self.request = request;
        if self.gone.is_none()
            && let Err(failure) = self.open().await
        {
            self.fail(failure);
        }
    }

    /// The node, if rows of it are missing.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        match &self.lost {
            Some(part) => part.missing(),
            None => self.missing.clone(),
        }
    }

    /// Why the node is gone; none if it is there, as far as it was asked.
    pub(super) fn gone(&self) -> Option<&str> {
        self.gone.as_deref()
    }

    /// The node, if its copies are read.
    pub(super) fn in_store(&self) -> Option<NodeFromStore> {
        self.lost.as_ref().and_then(LostPart::in_store)
    }

    /// What could not be read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        let of_copies = self.lost.as_ref().map(LostPart::passed_over).unwrap_or_default();
        SearchOutcome {
            damaged: self.passed_over.damaged + of_copies.damaged,
            unreadable_segments: self.passed_over.unreadable_segments
                + of_copies.unreadable_segments,
        }
    }

    /// The next row; none if there is no more, or the node gives none.
    pub(super) fn next(&mut self) -> Option<Item<(Cursor, LogRow)>> {
        loop {
            if let Some(part) = &mut self.lost {
                return part.next();
            }
            let Some(lines) = self.lines.as_mut() else {
                self.lost = Some(self.begin_copies()?);
                continue;
            };
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
        let outcome = Outcome::of_trailers(|name| lines.trailer(name));
        let sent = lines.trailer(RECORDS).and_then(|sent| sent.parse().ok());
        let SearchOutcome { damaged, unreadable_segments } =
            outcome.filter(|_| sent == Some(self.came)).ok_or(ClientError::Unreadable)?.passed_over;
        self.passed_over.damaged += damaged;
        self.passed_over.unreadable_segments += unreadable_segments;
        if self.limit.is_some_and(|limit| limit <= self.came) { self.reopen() } else { Ok(None) }
    }

    fn reopen(&mut self) -> Result<Option<Item<(Cursor, LogRow)>>, Failure> {
        let asked = self.asked.clone();
        asked.wait(self.open()).map(|()| None)
    }

    async fn open(&mut self) -> Result<(), Failure> {
        self.lines = None;
        let lines = self.asked.lines(SearchRequest::PATH, &self.request).await?;
        (self.lines, self.came) = (Some(lines), 0);
        Ok(())
    }

    fn fail(&mut self, failure: Failure) {
        self.lines = None;
        if let Failure::Missing(why) = failure {
            self.missing = Some(self.asked.missing(&why));
            self.gone = why.is_gone().then(|| why.to_string());
        }
    }

    /// The rows behind the last one that came, from the node's copies. None if it is not gone or has none.
    fn begin_copies(&mut self) -> Option<LostPart> {
        let node = self.asked.lost(self.gone.as_ref()?)?;
        let is_ascending = self.request.page.order.as_deref() == Some(Order::Asc.code());
        let order = if is_ascending { Order::Asc } else { Order::Desc };
        let (filter, last) = (&self.filter, self.last);
        let read = |log: &LostLog, stop| log.search(filter, order, last, stop);
        Some(LostPart::new(node, read, self.asked.stop()))
    }
}

//! [`NodeSearch`]: the rows of a search in the log of another node.

use super::{
    asked_node::AskedNode,
    lost_part::LostPart,
    node_answer::{NodeAnswer, Resumable},
};
use crate::{
    api::{FoundRow, MissingNode, NodeFromStore, SearchRequest},
    query_log::{Cursor, Filter, LogRow, LostLog, Order, SearchOutcome},
};

/// A search in the log of another node. Once the node is gone, its copies are read behind the last row that came.
pub(super) struct NodeSearch {
    asked: AskedNode,
    answer: NodeAnswer<SearchCall>,
    /// What the request means.
    filter: Filter,
    /// Its copies, once they are read.
    lost: Option<LostPart>,
}

/// A search in the log of one node, each of whose rows has its place there.
struct SearchCall {
    request: SearchRequest,
    /// The place of the last row that came: the next one must lie behind it.
    last: Option<Cursor>,
}

impl NodeSearch {
    /// A search for what `filter` says, with a request that is limited to the node. Nothing is asked yet, and without [`Self::begin`] there
    /// are no rows.
    pub(super) fn new(asked: AskedNode, request: SearchRequest, filter: Filter) -> Self {
        let last = request.page.cursor.as_ref().and_then(|cursor| cursor.parse().ok());
        let answer = NodeAnswer::new(asked.clone(), SearchCall { request, last });
        Self { asked, answer, filter, lost: None }
    }

    /// Takes the node for gone, for this reason: it is not asked.
    pub(super) fn take_for_gone(&mut self, why: &str) {
        self.answer.take_for_gone(why);
    }

    /// Asks the node.
    pub(super) async fn begin(&mut self) {
        self.answer.begin().await;
    }

    /// Why the node is gone; none if it is there, as far as it was asked.
    pub(super) fn gone(&self) -> Option<&str> {
        self.answer.gone()
    }

    /// The node, if rows of it are missing.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        match &self.lost {
            Some(part) => part.missing(),
            None => self.answer.missing(),
        }
    }

    /// The node, if its copies are read.
    pub(super) fn in_store(&self) -> Option<NodeFromStore> {
        self.lost.as_ref().and_then(LostPart::in_store)
    }

    /// What could not be read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        let mut passed_over = self.answer.passed_over();
        passed_over += self.lost.as_ref().map(LostPart::passed_over).unwrap_or_default();
        passed_over
    }

    /// The next row; none if there is no more, or the node gives none.
    pub(super) fn next(&mut self) -> Option<(Cursor, LogRow)> {
        if self.lost.is_none() {
            if let Some(row) = self.answer.next() {
                return Some(row);
            }
            self.lost = Some(self.begin_copies()?);
        }
        self.lost.as_mut()?.next()
    }

    /// The rows behind the last one that came, from the node's copies. None if it is not gone or has none.
    fn begin_copies(&self) -> Option<LostPart> {
        let node = self.asked.lost(self.answer.gone()?)?;
        let call = self.answer.call();
        let (filter, order, last) = (&self.filter, call.order(), call.last);
        let read = |log: &LostLog, stop| log.search(filter, order, last, stop);
        Some(LostPart::new(node, filter.until, read, self.asked.stop()))
    }
}

impl SearchCall {
    fn order(&self) -> Order {
        match self.request.page.order.as_deref() == Some(Order::Asc.code()) {
            true => Order::Asc,
            false => Order::Desc,
        }
    }
}

impl Resumable for SearchCall {
    type Request = SearchRequest;
    type Row = (Cursor, LogRow);

    fn request(&self) -> &SearchRequest {
        &self.request
    }

    fn lift_limit(&mut self) -> Option<u64> {
        self.request.page.limit.take()?.parse().ok()
    }

    fn read(&mut self, line: &[u8]) -> Option<(Cursor, LogRow)> {
        let (place, row) = serde_json::from_slice::<FoundRow>(line).ok()?.into_placed()?;
        let is_behind = |last: Cursor| match self.order() {
            Order::Asc => last < place,
            Order::Desc => place < last,
        };
        if !self.last.is_none_or(is_behind) {
            return None;
        }
        self.last = Some(place);
        self.request.page.cursor = Some(place.to_string());
        Some((place, row))
    }
}

//! [`NodeSearch`]: the rows of a search in the log of another node.

use super::{node_answer::Resumable, node_part::NodePart};
use crate::{
    api::{FoundRow, SearchRequest},
    clock::Timestamp,
    query_log::{Cursor, Filter, LogRow, LostLog, LostRows, Order},
    reading::call::Stop,
};

/// The rows of a search in the log of another node.
pub(super) type NodeSearch = NodePart<SearchCall>;

/// A search in the log of one node, each of whose rows has its place there.
pub(super) struct SearchCall {
    request: SearchRequest,
    /// What the request means.
    filter: Filter,
    /// The place of the last row that came: the next one must lie behind it.
    last: Option<Cursor>,
}

impl SearchCall {
    /// A search for what `filter` says, with a request that is limited to the node.
    pub(super) fn new(request: SearchRequest, filter: Filter) -> Self {
        let last = request.page.cursor.as_ref().and_then(|cursor| cursor.parse().ok());
        Self { request, filter, last }
    }

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
    type Copies = LostRows;

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

    fn until(&self) -> Option<Timestamp> {
        self.filter.until
    }

    fn copies(&self, log: &LostLog, stop: Stop) -> LostRows {
        log.search(&self.filter, self.order(), self.last, stop)
    }
}

//! [`NodeSearch`]: the rows of a search in the log of another node.

use super::node_answer::{NodeAnswer, Resumable};
use crate::{
    api::{Call as _, FoundRow, SearchRequest},
    query_log::{Cursor, LogRow, Order},
};

/// A search in the log of another node.
pub(super) type NodeSearch = NodeAnswer<SearchCall>;

/// A search in the log of one node, each of whose rows has its place there.
pub(super) struct SearchCall {
    request: SearchRequest,
    limit: Option<u64>,
    /// The place of the last row that came: the next one must lie behind it.
    last: Option<Cursor>,
}

impl SearchCall {
    /// A request that is limited to the node.
    pub(super) fn new(request: SearchRequest) -> Self {
        let limit = request.page.limit.as_ref().and_then(|limit| limit.parse().ok());
        let last = request.page.cursor.as_ref().and_then(|cursor| cursor.parse().ok());
        Self { request, limit, last }
    }
}

impl Resumable for SearchCall {
    type Request = SearchRequest;
    type Row = (Cursor, LogRow);
    const PATH: &'static str = SearchRequest::PATH;
    const BY_BODY: bool = false;

    fn request(&self) -> &SearchRequest {
        &self.request
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn read(&mut self, line: &[u8]) -> Option<(Cursor, LogRow)> {
        let (place, row) = serde_json::from_slice::<FoundRow>(line).ok()?.into_placed()?;
        let is_ascending = self.request.page.order.as_deref() == Some(Order::Asc.code());
        let is_behind = |last: Cursor| if is_ascending { last < place } else { place < last };
        if !self.last.is_none_or(is_behind) {
            return None;
        }
        self.last = Some(place);
        self.request.page.cursor = Some(place.to_string());
        Some((place, row))
    }
}

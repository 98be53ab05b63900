//! [`MemberRows`]: the rows of a member, or of its copies once it is gone.

use super::{
    asked_node::AskedNode,
    lost_part::LostPart,
    node_answer::{NodeAnswer, Resumable},
};
use crate::{
    api::MissingNode,
    query_log::{NodeFromStore, SearchOutcome},
};

/// The answer of a member. Once the node is gone, its copies are read behind the last row that came.
pub(super) struct MemberRows<C: Resumable> {
    asked: AskedNode,
    answer: NodeAnswer<C>,
    /// Its copies, once they are read.
    lost: Option<LostPart<C::Copies>>,
}

impl<C: Resumable> MemberRows<C> {
    /// The answer to a call, which must be limited to the node. Nothing is asked yet, and without [`Self::begin`] there are no rows.
    pub(super) fn new(asked: AskedNode, call: C) -> Self {
        Self { answer: NodeAnswer::new(asked.clone(), call), asked, lost: None }
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
    pub(super) fn next(&mut self) -> Option<C::Row> {
        if self.lost.is_none() {
            if let Some(row) = self.answer.next() {
                return Some(row);
            }
            self.lost = Some(self.begin_copies()?);
        }
        self.lost.as_mut()?.next()
    }

    /// The rows behind the last one that came, from the node's copies. None if it is not gone or has none.
    fn begin_copies(&self) -> Option<LostPart<C::Copies>> {
        let node = self.asked.lost(self.answer.gone()?)?;
        let call = self.answer.call();
        let read = |log: &_, stop| call.copies(log, stop);
        Some(LostPart::new(node, call.until(), read, self.asked.stop()))
    }
}

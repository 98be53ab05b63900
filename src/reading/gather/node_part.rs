//! [`NodePart`]: the rows of another node, wherever they come from.

use super::{
    asked_node::AskedNode,
    lost_part::LostPart,
    node_answer::{NodeAnswer, Resumable},
};
use crate::{
    api::MissingNode,
    query_log::{NodeFromStore, SearchOutcome},
};

/// The rows of another node: those of its answer, and once it is gone those behind the last one that came, from its copies.
pub(super) struct NodePart<C: Resumable> {
    /// None of a node that was removed.
    answer: Option<NodeAnswer<C>>,
    /// Its copies, once they are read.
    lost: Option<LostPart<C::Copies>>,
}

impl<C: Resumable> NodePart<C> {
    /// The answer of a member to a call, which must be limited to the node. Nothing is asked yet, and without [`Self::begin`] there are no
    /// rows.
    pub(super) fn asked(asked: AskedNode, call: C) -> Self {
        Self { answer: Some(NodeAnswer::new(asked, call)), lost: None }
    }

    /// The copies of a node that was removed.
    pub(super) const fn removed(part: LostPart<C::Copies>) -> Self {
        Self { answer: None, lost: Some(part) }
    }

    /// Takes the node for gone, for this reason: it is not asked.
    pub(super) fn take_for_gone(&mut self, why: &str) {
        if let Some(answer) = &mut self.answer {
            answer.take_for_gone(why);
        }
    }

    /// Asks the node, if it is a member.
    pub(super) async fn begin(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.begin().await;
        }
    }

    /// Why a member is gone; none if it is there, as far as it was asked.
    pub(super) fn gone(&self) -> Option<&str> {
        self.answer.as_ref()?.gone()
    }

    /// The next row; none if there is no more, or none can be had.
    pub(super) fn next(&mut self) -> Option<C::Row> {
        if self.lost.is_none() {
            let answer = self.answer.as_mut()?;
            if let Some(row) = answer.next() {
                return Some(row);
            }
            self.lost = Some(answer.begin_copies()?);
        }
        self.lost.as_mut()?.next()
    }

    /// The node, if rows of it are missing that should be there.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        match &self.lost {
            Some(part) => part.missing(),
            None => self.answer.as_ref()?.missing(),
        }
    }

    /// What could not be read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        let mut passed_over = self.answer.as_ref().map(NodeAnswer::passed_over).unwrap_or_default();
        passed_over += self.lost.as_ref().map(LostPart::passed_over).unwrap_or_default();
        passed_over
    }

    /// The node, if its copies are read.
    pub(super) fn in_store(&self) -> Option<NodeFromStore> {
        self.lost.as_ref()?.in_store()
    }
}

//! [`NodePart`]: the rows of another node, wherever they come from.

use super::{lost_part::LostPart, member_rows::MemberRows, node_answer::Resumable};
use crate::{
    api::MissingNode,
    query_log::{NodeFromStore, SearchOutcome},
};

/// The rows of another node.
pub(super) enum NodePart<C: Resumable> {
    /// Of a member, which is asked.
    Asked(Box<MemberRows<C>>),
    /// Of a node that was removed.
    Lost(Box<LostPart<C::Copies>>),
}

impl<C: Resumable> NodePart<C> {
    /// The next row; none if there is no more, or none can be had.
    pub(super) fn next(&mut self) -> Option<C::Row> {
        match self {
            Self::Asked(rows) => rows.next(),
            Self::Lost(part) => part.next(),
        }
    }

    /// The node, if rows of it are missing that should be there.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        match self {
            Self::Asked(rows) => rows.missing(),
            Self::Lost(part) => part.missing(),
        }
    }

    /// What could not be read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        match self {
            Self::Asked(rows) => rows.passed_over(),
            Self::Lost(part) => part.passed_over(),
        }
    }

    /// The node, if its rows come from its copies.
    pub(super) fn in_store(&self) -> Option<NodeFromStore> {
        match self {
            Self::Asked(rows) => rows.in_store(),
            Self::Lost(part) => part.in_store(),
        }
    }
}

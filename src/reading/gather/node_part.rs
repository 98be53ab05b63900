//! [`NodePart`]: the rows of another node, wherever they come from.

use super::{lost_part::LostPart, node_search::NodeSearch};
use crate::{
    api::{MissingNode, NodeFromStore},
    query_log::{Cursor, LogRow, SearchOutcome},
};

/// The rows of another node.
pub(super) enum NodePart {
    /// Of a member, which is asked.
    Asked(Box<NodeSearch>),
    /// Of a node that was removed.
    Lost(Box<LostPart>),
}

impl NodePart {
    /// The next row; none if there is no more, or none can be had.
    pub(super) fn next(&mut self) -> Option<(Cursor, LogRow)> {
        match self {
            Self::Asked(search) => search.next(),
            Self::Lost(part) => part.next(),
        }
    }

    /// The node, if rows of it are missing that should be there.
    pub(super) fn missing(&self) -> Option<MissingNode> {
        match self {
            Self::Asked(search) => search.missing(),
            Self::Lost(part) => part.missing(),
        }
    }

    /// What could not be read.
    pub(super) fn passed_over(&self) -> SearchOutcome {
        match self {
            Self::Asked(search) => search.passed_over(),
            Self::Lost(part) => part.passed_over(),
        }
    }

    /// The node, if its rows come from its copies.
    pub(super) fn in_store(&self) -> Option<NodeFromStore> {
        match self {
            Self::Asked(search) => search.in_store(),
            Self::Lost(part) => part.in_store(),
        }
    }
}

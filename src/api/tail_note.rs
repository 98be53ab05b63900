//! What an answer of rows says of nodes, besides the rows.

use serde::{Deserialize, Serialize};

use super::{MissingNode, NodeFromStore};
use crate::clock::Timestamp;

/// Whether rows of a node are missing. The name of the event of a tail is its `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NodeNote {
    /// Rows of the node are missing. In a tail: from now on.
    Missing(MissingNode),
    /// Rows of the node come from its copies. Not in a tail.
    #[serde(rename = "from_store")]
    FromStore(NodeFromStore),
    /// A tail has rows of the node again, or from now on.
    Returned(ReturnedNode),
}

/// A node whose rows a tail has again, or from now on: it has joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedNode {
    /// Its name.
    pub node: String,
    /// The tail has not what the node recorded from then on, up to now. A search gives it.
    pub since: Timestamp,
}

impl NodeNote {
    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::FromStore(_) => "from_store",
            Self::Returned(_) => "returned",
        }
    }

    /// The note that a line of an answer is. None of a row: only the kind tells it apart, which notes begin with.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let kinds: [&[u8]; 2] = [br#"{"kind":"missing","#, br#"{"kind":"from_store","#];
        let is_note = kinds.iter().any(|kind| line.starts_with(kind));
        is_note.then(|| serde_json::from_slice(line).ok())?
    }

    /// The note as one JSON object.
    ///
    /// # Panics
    /// Never: it is made of texts.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts have a JSON form")
    }
}

//! [`NodeFromStore`]: what an answer says of a node whose copies were read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;

/// A node that is gone and whose part of an answer was read from the copies of its log in the object store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeFromStore {
    /// Its name. Of a node that was removed from the cluster, its number follows: another node may have the same name by now.
    #[schema(example = "c")]
    pub node: String,
    /// Why it was not asked itself.
    #[schema(example = "no answer: Connection refused (os error 111)")]
    pub why: String,
    /// The instant of its newest record that was copied: what it recorded later is missing. Null if no record could be read.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Whether nothing is missing: the node was removed, its log was ended by a stop, and all of it could be read that was asked for.
    pub complete: bool,
    /// Where records up to then are missing, or may be: segments whose copies are damaged or gone, and hours with a key and
    /// nothing in the store. At most eight of each look; absent if none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(nullable = false)]
    pub gaps: Vec<String>,
}

impl NodeFromStore {
    /// Adds what another look at the same node found.
    pub(crate) fn add(&mut self, other: Self) {
        self.until = self.until.max(other.until);
        self.complete &= other.complete;
        let new: Vec<_> = other.gaps.into_iter().filter(|it| !self.gaps.contains(it)).collect();
        self.gaps.extend(new);
    }
}

//! [`MissingNode`]: what an answer over all nodes of a cluster lacks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A node whose part of an answer is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingNode {
    /// Its name.
    #[schema(example = "c")]
    pub node: String,
    /// Why.
    #[schema(example = "no answer: Connection refused (os error 111)")]
    pub why: String,
}

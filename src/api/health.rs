//! Readiness: `GET /readyz`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The service can answer lookups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Always true. A service that is not ready answers with a problem.
    #[schema(example = true)]
    pub ready: bool,
}

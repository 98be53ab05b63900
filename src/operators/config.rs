//! What operators must say when they read.

use serde::{Deserialize, Serialize};

/// Section `[operators]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether a reader's call that gives out records or accounts must name a case. Admins may name one.
    pub require_case: bool,
}

//! How far an import is.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far the import is that a server accepted last.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct ImportState {
    /// Whether it is being applied.
    pub state: ImportPhase,
    /// Accounts that were applied.
    pub accounts: u64,
    /// Accounts that are to be applied.
    pub total: u64,
}

/// Whether an import is being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImportPhase {
    /// It is.
    Applying,
    /// Everything that was accepted is applied.
    None,
}

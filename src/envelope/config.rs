//! What an operator may set about the keys.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Section `[keys]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The root key's file, to keep it outside the data directory and its backups. None: `<data>/keys/root.key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<PathBuf>,
}

//! What an operator may set about the keys.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{files::size, limits};

/// Section `[keys]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The root key's file, to keep it outside the data directory and its backups. None: `<data>/keys/root.key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_key: Option<PathBuf>,
    /// Bytes on the disk that are set aside for new keys and audit entries, so that a full disk stops neither forgetting
    /// nor reading.
    #[serde(with = "size")]
    pub reserve: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { root_key: None, reserve: limits::KEYS_RESERVE_BYTES }
    }
}

impl Config {
    /// Checks the limits of the values.
    ///
    /// # Errors
    /// The key at fault, and which values it takes.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if self.reserve < limits::KEYS_RESERVE_BYTES_MIN {
            let why = "must be at least 1MiB: without it a full disk would stop forgetting";
            return Err(("reserve", why.to_owned()));
        }
        if self.reserve > limits::KEYS_RESERVE_BYTES_MAX {
            return Err(("reserve", "must be at most 1GiB: more is never used".to_owned()));
        }
        Ok(())
    }
}

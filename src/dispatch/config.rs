//! How long answers may be reused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::span;

/// Section `[dispatch]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a client may reuse `imessage`, at most; never beyond the lease behind it.
    #[serde(with = "span")]
    pub reuse_live: Duration,
    /// How long a client may reuse `sms` or `none`.
    #[serde(with = "span")]
    pub reuse_other: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { reuse_live: Duration::from_secs(3600), reuse_other: Duration::from_secs(300) }
    }
}

impl Config {
    /// Checks the values.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let day = Duration::from_secs(24 * 3600);
        for (key, value) in [("reuse_live", self.reuse_live), ("reuse_other", self.reuse_other)] {
            if value > day {
                return Err((key, "must be at most 24h: phones would not see changes".into()));
            }
        }
        Ok(())
    }
}

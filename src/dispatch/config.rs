//! How long answers may be reused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::span;

/// The spans for which an answer may be reused, longest first. Few and coarse, so that a span tells little of what it depends on.
pub(super) const REUSE_STEPS: [Duration; 5] = [
    Duration::from_secs(3600),
    Duration::from_secs(1800),
    Duration::from_secs(900),
    Duration::from_secs(300),
    Duration::from_secs(60),
];

/// Section `[dispatch]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a client may reuse `imessage`, at most; shorter in the last hours of the lease behind it.
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
        for (key, value) in [("reuse_live", self.reuse_live), ("reuse_other", self.reuse_other)] {
            if !REUSE_STEPS.contains(&value) {
                let steps = "must be 1h, 30m, 15m, 5m or 1m: another span would tell more of when a device last checked in";
                return Err((key, steps.into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_is_a_span_of_reuse() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        for (text, good) in [
            ("1h", true),
            ("30m", true),
            ("15m", true),
            ("5m", true),
            ("60s", true),
            ("10m", false),
            ("0s", false),
            ("2h", false),
        ] {
            for key in ["reuse_live", "reuse_other"] {
                let outcome = read(&format!("{key} = \"{text}\"")).validate();
                assert_eq!(outcome.is_ok(), good, "{text}");
                assert!(
                    outcome.err().is_none_or(|(named, why)| named == key && why.contains("30m"))
                );
            }
        }
    }
}

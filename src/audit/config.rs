//! What an operator may set about the audit log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::span, limits};

/// Four hundred days: a yearly review finds the whole year, and the month in which it is late.
const RETENTION_DEFAULT: Duration = Duration::from_secs(400 * 24 * 3600);

/// Section `[audit]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long an entry is kept, by whole days.
    #[serde(with = "span")]
    pub retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { retention: RETENTION_DEFAULT }
    }
}

impl Config {
    /// Checks the limits of the values. The error is the key at fault, and which values it takes.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let refuse = |why: &str| Err(("retention", why.to_owned()));
        if self.retention < limits::AUDIT_RETENTION_MIN {
            return refuse(
                "must be at least 30d: who read a record is known as long as it could be read",
            );
        }
        if self.retention > limits::AUDIT_RETENTION_MAX {
            return refuse("must be at most 3650d: what operators did is not kept for ever");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_retention_has_a_default_and_bounds() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        assert_eq!(read(""), read("retention = \"400d\""));
        for (text, good) in
            [("400d", true), ("30d", true), ("3650d", true), ("29d", false), ("3651d", false)]
        {
            let config = read(&format!("retention = \"{text}\""));
            assert_eq!(config.validate().is_ok(), good, "{text}");
        }
    }
}

//! What an operator may set about the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::span, limits};

/// What an answered query survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A power cut: a record is synced to the disk before its answer leaves.
    #[default]
    Disk,
    /// The end of the process, but not a power cut: a record is in the kernel's hands before its answer leaves.
    Os,
}

/// The section `log` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What an answered query survives.
    pub durability: Durability,
    /// How long a record stays readable.
    #[serde(with = "span")]
    pub retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { durability: Durability::default(), retention: limits::LOG_RETENTION_MAX }
    }
}

impl Config {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// The key at fault and what it may be.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let refuse = |why: &str| Err(("retention", why.to_owned()));
        if self.retention > limits::LOG_RETENTION_MAX {
            return refuse("must be at most 30d: nothing is kept longer than promised");
        }
        if self.retention < limits::LOG_RETENTION_MIN {
            return refuse("must be at least 2h: the log is kept and destroyed by the hour");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_contract() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(
            (config.durability, config.retention),
            (Durability::Disk, limits::LOG_RETENTION_MAX)
        );
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn values_are_read_and_impossible_ones_refused() {
        let read = |text: &str| toml::from_str::<Config>(text);
        let config = read("durability = \"os\"\nretention = \"90m\"").unwrap();
        assert_eq!(
            (config.durability, config.retention),
            (Durability::Os, Duration::from_secs(5400))
        );
        assert_eq!(config.validate().unwrap_err().0, "retention");
        assert!(read("retention = \"2h\"").unwrap().validate().is_ok());
        assert!(read("retention = \"720h\"").unwrap().validate().is_ok());
        assert!(read("retention = \"2592001s\"").unwrap().validate().is_err());
        for wrong in [
            "retention = 30",
            "retention = \"30\"",
            "retention = \"d\"",
            "durability = \"none\"",
            "x = 1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}

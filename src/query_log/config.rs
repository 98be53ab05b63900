//! The section `log` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::span, limits, object_storage};

/// Which failures the record of an answered lookup survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A power cut: the log syncs a record to the disk before its answer leaves.
    #[default]
    Disk,
    /// A crash of the process but no power cut: the log writes a record to the page cache before its answer leaves.
    Os,
}

/// The section `log` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which failures the record of an answered lookup survives.
    pub durability: Durability,
    /// How long a record stays readable; 2 hours to 30 days.
    #[serde(with = "span")]
    pub retention: Duration,
    /// How often new bytes of the log are copied to the object store.
    #[serde(with = "span")]
    pub copy_interval: Duration,
    /// The object store.
    pub store: object_storage::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            retention: limits::LOG_RETENTION_MAX,
            copy_interval: limits::LOG_COPY_INTERVAL,
            store: object_storage::Config::default(),
        }
    }
}

impl Config {
    /// Checks the limits of the values. The error is the key at fault, and which values it takes.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let refuse = |why: &str| Err(("retention", why.to_owned()));
        if self.retention > limits::LOG_RETENTION_MAX {
            return refuse("must be at most 30d: the service promises to keep no record longer");
        }
        if self.retention < limits::LOG_RETENTION_MIN {
            return refuse("must be at least 2h: the log destroys records by the hour");
        }
        let (least, most) = (limits::LOG_COPY_INTERVAL_MIN, limits::LOG_COPY_INTERVAL_MAX);
        if !(least..=most).contains(&self.copy_interval) {
            let [least, most] = [least, most].map(humantime::format_duration);
            return Err(("copy_interval", format!("must be from {least} to {most}")));
        }
        self.store.validate()
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
        for interval in ["0s", "999ms", "601s"] {
            let config = read(&format!("copy_interval = \"{interval}\"")).unwrap();
            assert_eq!(config.validate().unwrap_err().0, "copy_interval", "{interval}");
        }
        let store = read("[store]\nurl = \"logs\"").unwrap();
        assert_eq!(store.validate().unwrap_err().0, "store.url");
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

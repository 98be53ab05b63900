//! What an operator may set about the log.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::limits;

/// What an answered query survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// A power cut: a record is synced to the disk before its answer leaves.
    #[default]
    Disk,
    /// The end of the process, but not a power cut: a record is in the kernel's hands before its answer leaves.
    Os,
}

/// The section `log` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What an answered query survives.
    pub durability: Durability,
    /// How long a record stays readable.
    #[serde(deserialize_with = "span")]
    pub retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            retention: limits::LOG_RETENTION_MAX,
        }
    }
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct ConfigError {
    /// The key within the section.
    pub key: &'static str,
    /// What is wrong with its value.
    pub message: String,
}

impl Config {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// Names the key.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |message: &str| {
            Err(ConfigError {
                key: "retention",
                message: message.into(),
            })
        };
        if self.retention > limits::LOG_RETENTION_MAX {
            return refuse("at most 30d: nothing is kept longer than promised");
        }
        if self.retention < limits::LOG_RETENTION_MIN {
            return refuse("at least 2h: the log is kept and destroyed by the hour");
        }
        Ok(())
    }
}

/// The text is not a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a span of time such as 30d, 12h, 90m or 45s")]
pub struct SpanError;

/// Reads a span of time: a whole number and `d`, `h`, `m` or `s`.
///
/// # Errors
/// If the text is anything else.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    let unit = text.chars().last().ok_or(SpanError)?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(SpanError),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(SpanError);
    }
    let number: u64 = digits.parse().map_err(|_| SpanError)?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or(SpanError)
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).map_err(de::Error::custom)
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
        assert_eq!(config.validate().unwrap_err().key, "retention");
        assert!(read("retention = \"2h\"").unwrap().validate().is_ok());
        assert!(read("retention = \"720h\"").unwrap().validate().is_ok());
        assert!(
            read("retention = \"2592001s\"")
                .unwrap()
                .validate()
                .is_err()
        );
        for wrong in [
            "retention = 30",
            "retention = \"30\"",
            "retention = \"d\"",
            "durability = \"none\"",
            "x = 1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "",
            "1w",
            "-1d",
            "+1d",
            "1.5h",
            "1d ",
            "é",
            "99999999999999999d",
        ] {
            assert_eq!(parse_span(wrong), Err(SpanError), "{wrong}");
        }
    }
}

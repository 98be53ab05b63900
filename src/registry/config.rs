//! The `[registry]` section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const SECS_PER_DAY: u64 = 24 * 3600;
const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(365 * SECS_PER_DAY);
const DEVICES_PER_ACCOUNT_MAX: usize = 1_000;

/// How long devices count as live, and how many an account may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a device counts as live after its last check-in, such as `14d`.
    #[serde(deserialize_with = "span", serialize_with = "write_span")]
    pub lease: Duration,
    /// Devices that one account may have.
    pub devices_per_account: usize,
}

/// A value that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `registry.lease`.
    #[error("registry.lease must be between 1s and 365d")]
    Lease,
    /// `registry.devices_per_account`.
    #[error("registry.devices_per_account must be between 1 and 1000")]
    DevicesPerAccount,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(14 * SECS_PER_DAY),
            devices_per_account: 20,
        }
    }
}

impl Config {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// Names the key whose value cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(LEASE_MIN..=LEASE_MAX).contains(&self.lease) {
            return Err(ConfigError::Lease);
        }
        if !(1..=DEVICES_PER_ACCOUNT_MAX).contains(&self.devices_per_account) {
            return Err(ConfigError::DevicesPerAccount);
        }
        Ok(())
    }
}

/// Reads a number and a unit: `s`, `m`, `h` or `d`.
fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => SECS_PER_DAY,
        _ => return None,
    };
    Some(Duration::from_secs(
        number.parse::<u64>().ok()?.checked_mul(secs)?,
    ))
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text)
        .ok_or_else(|| de::Error::custom("not a span of time such as 14d, 36h, 90m or 30s"))
}

fn write_span<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let secs = span.as_secs();
    if secs.is_multiple_of(SECS_PER_DAY) {
        serializer.collect_str(&format_args!("{}d", secs / SECS_PER_DAY))
    } else {
        serializer.collect_str(&format_args!("{secs}s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_and_errors_name_the_key() {
        let read = toml::from_str::<Config>;
        assert_eq!(read("").expect("empty means defaults"), Config::default());
        assert_eq!(
            read("lease = \"36h\"").expect("valid").lease,
            Duration::from_secs(36 * 3600)
        );
        for bad in [
            "lease = \"14\"",
            "lease = 14",
            "lease = \"\"",
            "lease = \"é\"",
            "leese = \"1d\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("lease = \"99999999999999999999d\"").is_err());
        assert_eq!(
            read("lease = \"0s\"").expect("valid").validate(),
            Err(ConfigError::Lease)
        );
        let none = read("devices_per_account = 0").expect("valid");
        assert_eq!(none.validate(), Err(ConfigError::DevicesPerAccount));
        assert!(
            none.validate()
                .expect_err("checked")
                .to_string()
                .contains("registry.devices_per_account")
        );
        let written = toml::to_string(&Config::default()).expect("it is plain");
        assert!(written.contains("\"14d\""), "{written}");
        assert_eq!(read(&written).expect("valid"), Config::default());
    }
}

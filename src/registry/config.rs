//! The `[registry]` section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::packed::DEVICES_MAX;
use crate::clock::span;

const SECS_PER_DAY: u64 = 24 * 3600;
const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(365 * SECS_PER_DAY);
const FORGET_AFTER_MAX: Duration = Duration::from_secs(3650 * SECS_PER_DAY);

/// How long devices count as live, and how many an account may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long a device counts as live after its last check-in, such as `14d`.
    #[serde(with = "span")]
    pub lease: Duration,
    /// How long a device that does not check in is remembered, such as `180d`; then it is removed with its bindings.
    #[serde(with = "span")]
    pub forget_after: Duration,
    /// Devices that one account may have.
    pub devices_per_account: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(14 * SECS_PER_DAY),
            forget_after: Duration::from_secs(180 * SECS_PER_DAY),
            devices_per_account: 20,
        }
    }
}

impl Config {
    /// Checks what the types do not. An error is the key at fault and what it may be.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        if !(LEASE_MIN..=LEASE_MAX).contains(&self.lease) {
            return Err(("lease", "must be between 1s and 365d".into()));
        }
        if !(self.lease..=FORGET_AFTER_MAX).contains(&self.forget_after) {
            return Err(("forget_after", "must be between the lease and 3650d".into()));
        }
        if !(1..=DEVICES_MAX).contains(&self.devices_per_account) {
            let why = format!("must be between 1 and {DEVICES_MAX}");
            return Err(("devices_per_account", why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_unit_and_errors_name_the_key() {
        let read = toml::from_str::<Config>;
        assert_eq!(read("").expect("empty means defaults"), Config::default());
        assert_eq!(read("lease = \"36h\"").expect("valid").lease, Duration::from_secs(36 * 3600));
        for bad in
            ["lease = \"14\"", "lease = 14", "lease = \"\"", "lease = \"é\"", "leese = \"1d\""]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read("lease = \"99999999999999999999d\"").is_err());
        assert_eq!(
            read("lease = \"0s\"").expect("valid").validate().expect_err("too short").0,
            "lease"
        );
        let short = read("forget_after = \"13d\"").expect("valid");
        assert_eq!(short.validate().expect_err("shorter than the lease").0, "forget_after");
        let none = read("devices_per_account = 0").expect("valid");
        assert_eq!(none.validate().expect_err("too few").0, "devices_per_account");
        let written = toml::to_string(&Config::default()).expect("it is plain");
        assert_eq!(read(&written).expect("valid"), Config::default());
    }
}

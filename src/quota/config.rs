//! The `[quota]` section of the configuration.

use serde::{Deserialize, Serialize};

use crate::limits;

/// How much an account or a network may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether quotas apply. False only for closed networks and load tests.
    pub enabled: bool,
    /// New handles that one account may ask for in 24 hours.
    pub new_handles_per_day: u32,
    /// Lookup requests of one account in a minute. A batch is charged one, and one more for each ten of its handles.
    pub requests_per_minute: u32,
    /// Sign-ups of one network in an hour.
    pub sign_ups_per_hour: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            new_handles_per_day: 5_000,
            requests_per_minute: 6_000,
            sign_ups_per_hour: 600,
        }
    }
}

impl Config {
    /// Checks the values.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        let batch = limits::BATCH_HANDLES_MAX;
        if (self.new_handles_per_day as usize) < batch {
            return Err((
                "new_handles_per_day",
                format!("must be at least {batch}, one full batch"),
            ));
        }
        for (key, value) in [
            ("requests_per_minute", self.requests_per_minute),
            ("sign_ups_per_hour", self.sign_ups_per_hour),
        ] {
            if value == 0 {
                let why = "must be at least 1; to remove all limits set enabled = false";
                return Err((key, why.into()));
            }
        }
        Ok(())
    }
}

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
    /// Lookups of one account in 24 hours, each handle of a batch counted, new or not.
    pub lookups_per_day: u32,
    /// Lookups from one network in a minute, counted in the same way.
    pub network_lookups_per_minute: u32,
    /// Lookups in a minute of all accounts that hold no handle, counted in the same way.
    pub unproven_lookups_per_minute: u32,
    /// Sign-ups of one network in an hour.
    pub sign_ups_per_hour: u32,
    /// Sign-ups of all networks in an hour, without those by link code.
    pub all_sign_ups_per_hour: u32,
    /// Refused lookups of all networks that the log records in a minute. It only counts the others.
    pub refusals_recorded_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            new_handles_per_day: 5_000,
            requests_per_minute: 6_000,
            lookups_per_day: 50_000,
            network_lookups_per_minute: 40_000,
            unproven_lookups_per_minute: 80_000,
            sign_ups_per_hour: 600,
            all_sign_ups_per_hour: 36_000,
            refusals_recorded_per_minute: 20_000,
        }
    }
}

impl Config {
    /// Checks the values.
    pub fn validate(&self) -> Result<(), (&'static str, String)> {
        for (key, value, least) in [
            ("new_handles_per_day", self.new_handles_per_day, limits::BATCH_HANDLES_MAX),
            ("lookups_per_day", self.lookups_per_day, limits::BATCH_UNITS_MAX),
            // Half of them are for those that ask less.
            (
                "network_lookups_per_minute",
                self.network_lookups_per_minute,
                2 * limits::BATCH_UNITS_MAX,
            ),
            (
                "unproven_lookups_per_minute",
                self.unproven_lookups_per_minute,
                2 * limits::BATCH_UNITS_MAX,
            ),
        ] {
            if (value as usize) < least {
                let why = format!("must be at least {least}, or some batches are never answered");
                return Err((key, why));
            }
        }
        for (key, value) in [
            ("requests_per_minute", self.requests_per_minute),
            ("sign_ups_per_hour", self.sign_ups_per_hour),
            ("all_sign_ups_per_hour", self.all_sign_ups_per_hour),
            ("refusals_recorded_per_minute", self.refusals_recorded_per_minute),
        ] {
            if value == 0 {
                let why = "must be at least 1; to remove all limits set enabled = false";
                return Err((key, why.into()));
            }
        }
        Ok(())
    }
}

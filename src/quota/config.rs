//! The `[quota]` section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::span, files::size, limits};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much an account or a network may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether quotas apply. False only for closed networks and load tests.
    pub enabled: bool,
    /// New handles that one account may ask for at once, which it regains over 24 hours.
    pub new_handles_per_day: u32,
    /// New handles that an account that holds a handle may ask for beyond those: an address book.
    pub import_handles: u32,
    /// The span over which it regains them.
    #[serde(with = "span")]
    pub import_span: Duration,
    /// New handles from one network at once, regained over 24 hours.
    pub network_new_handles_per_day: u32,
    /// New handles of accounts without a handle from one network, within any 24 hours.
    pub network_unproven_handles_per_day: u32,
    /// New handles of all accounts without a handle, within any 24 hours.
    pub unproven_new_handles_per_day: u32,
    /// Bytes of memory for asked handles and the states of accounts.
    #[serde(with = "size")]
    pub memory: u64,
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
            new_handles_per_day: 100,
            import_handles: 10_000,
            import_span: 120 * DAY,
            network_new_handles_per_day: 100_000,
            network_unproven_handles_per_day: 20_000,
            unproven_new_handles_per_day: 200_000,
            memory: limits::QUOTA_MEMORY_BYTES,
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
        self.validate_batches()?;
        for (key, value) in [
            ("new_handles_per_day", self.new_handles_per_day),
            ("import_handles", self.import_handles),
            ("network_new_handles_per_day", self.network_new_handles_per_day),
            ("network_unproven_handles_per_day", self.network_unproven_handles_per_day),
            ("unproven_new_handles_per_day", self.unproven_new_handles_per_day),
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
        if !(DAY..=366 * DAY).contains(&self.import_span) {
            return Err(("import_span", "must be from 1d to 366d".into()));
        }
        let memory = limits::QUOTA_MEMORY_BYTES_MIN..=limits::QUOTA_MEMORY_BYTES_MAX;
        if !memory.contains(&self.memory) {
            let (least, most) = (size::in_units(*memory.start()), size::in_units(*memory.end()));
            return Err(("memory", format!("must be from {least} to {most}")));
        }
        Ok(())
    }

    fn validate_batches(&self) -> Result<(), (&'static str, String)> {
        for (key, value, least) in [
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
        Ok(())
    }
}

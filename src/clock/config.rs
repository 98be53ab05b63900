//! The section `clock` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::span;

/// Whether the wall clock is believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Only as far as the boot clock, an earlier start, the kernel or an operator confirms it.
    #[default]
    Check,
    /// Always: for tests, and for machines without a time service whose clock is set by hand.
    Always,
}

/// The section `clock` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether the wall clock is believed.
    pub trust: Trust,
    /// After a reboot, a wall clock up to 7 days ahead is followed after this time without a jump.
    #[serde(with = "span")]
    pub probation: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { trust: Trust::default(), probation: Duration::from_secs(3600) }
    }
}

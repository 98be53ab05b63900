//! All sections together.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::server::ServerConfig;
use crate::{
    audit, clock, dispatch, envelope, query_log, quota, registry, telemetry, verification,
};

/// Everything that can be configured. See `config/dispatchd.toml` for each key's meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listeners, data directory, threads.
    pub server: ServerConfig,
    /// Whether the machine's wall clock is believed.
    pub clock: clock::Config,
    /// Encryption keys.
    pub keys: envelope::Config,
    /// The query log.
    pub log: query_log::Config,
    /// Who read the query log.
    pub audit: audit::Config,
    /// Devices and handles.
    pub registry: registry::Config,
    /// Proofs of ownership.
    pub ownership: verification::Config,
    /// Answers.
    pub dispatch: dispatch::Config,
    /// Who may ask how much.
    pub quota: quota::Config,
    /// The service's own messages.
    pub telemetry: telemetry::Config,
}

/// Why a configuration cannot be used, and where the fault is.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {}", .why.trim_end())]
pub struct ConfigError {
    place: String,
    why: String,
}

impl ConfigError {
    /// A fault at `place`: a file, a line of it, or a variable.
    pub(super) fn new(place: impl Into<String>, why: impl Display) -> Self {
        Self { place: place.into(), why: why.to_string() }
    }

    pub(super) fn of_variable(name: &str, why: impl Display) -> Self {
        Self::new(format!("environment variable {name}"), why)
    }
}

impl Config {
    /// The error is the first key whose value cannot be used, with its sections, and what is wrong with it.
    pub(super) fn validate(&self) -> Result<(), (String, String)> {
        let in_section = |section: &'static str| {
            move |(key, why): (&str, String)| (format!("{section}.{key}"), why)
        };
        self.server.validate().map_err(in_section("server"))?;
        self.keys.validate().map_err(in_section("keys"))?;
        self.log.validate().map_err(in_section("log"))?;
        self.audit.validate().map_err(in_section("audit"))?;
        self.registry.validate().map_err(in_section("registry"))?;
        self.ownership.validate().map_err(|error| (error.key, error.why))?;
        self.dispatch.validate().map_err(in_section("dispatch"))?;
        self.quota.validate().map_err(in_section("quota"))
    }

    /// The whole configuration as TOML, defaults included.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::new("configuration", error))
    }
}

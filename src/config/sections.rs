//! All sections together.

use serde::{Deserialize, Serialize};

use super::{error::ConfigError, server::ServerConfig};
use crate::{audit, dispatch, envelope, query_log, quota, registry, telemetry, verification};

/// Everything that can be configured. See `config/dispatchd.toml` for each key's meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listeners, data directory, threads.
    pub server: ServerConfig,
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

/// A value of the right type that cannot be used.
pub(super) struct Invalid {
    /// The key with its sections, separated by dots.
    pub(super) path: String,
    pub(super) why: String,
}

impl Config {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let in_section = |section: &'static str| {
            move |(key, why): (&str, String)| Invalid { path: format!("{section}.{key}"), why }
        };
        self.server.validate().map_err(in_section("server"))?;
        self.log.validate().map_err(in_section("log"))?;
        self.audit.validate().map_err(in_section("audit"))?;
        self.registry.validate().map_err(in_section("registry"))?;
        let ownership = self.ownership.validate();
        ownership.map_err(|error| Invalid { path: error.key, why: error.why })?;
        self.dispatch.validate().map_err(in_section("dispatch"))?;
        self.quota.validate().map_err(in_section("quota"))
    }

    /// The whole configuration as TOML, defaults included.
    ///
    /// # Errors
    /// None that a configuration which was read can cause.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError::new("configuration", error))
    }
}

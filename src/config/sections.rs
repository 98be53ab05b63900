//! All sections together.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{server::ServerConfig, tls::TlsConfig};
use crate::{
    audit, clock, cluster, dispatch, envelope, operators, query_log, quota, registry, telemetry,
    verification,
};

/// Everything that can be configured. See `config/dispatchd.toml` for each key's meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Listeners, data directory, threads.
    pub server: ServerConfig,
    /// The listeners' certificate.
    pub tls: TlsConfig,
    /// Whether the machine's wall clock is believed.
    pub clock: clock::Config,
    /// Encryption keys.
    pub keys: envelope::Config,
    /// The query log.
    pub log: query_log::Config,
    /// Who read the query log.
    pub audit: audit::Config,
    /// What operators must say when they read.
    pub operators: operators::Config,
    /// The other machines that serve the same directory.
    pub cluster: cluster::Config,
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

/// Why a configuration cannot be used: every fault and where it is.
#[derive(Debug, Default)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug)]
pub(super) struct Fault {
    /// A file, a line of it, or a variable.
    pub(super) place: String,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self { place: place.into(), why: why.into() }
    }
}

impl ConfigError {
    /// Adds faults of what the configuration names: each with the key that names it, unless the fault is there already.
    pub fn add(&mut self, faults: impl IntoIterator<Item = (String, String)>) {
        for (key, why) in faults {
            let said = format!("{key} {why}");
            if self.faults.iter().all(|fault| fault.why != said) {
                self.faults.push(Fault::new(key, why));
            }
        }
    }

    /// Itself, unless it holds no fault.
    ///
    /// # Errors
    /// Itself.
    pub fn into_result(self) -> Result<(), Self> {
        if self.faults.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Vec<Fault>> for ConfigError {
    fn from(faults: Vec<Fault>) -> Self {
        Self { faults }
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |fault: &Fault| format!("{}: {}", fault.place, fault.why.trim_end());
        match &*self.faults {
            [fault] => f.write_str(&one(fault)),
            faults => {
                write!(f, "the configuration has {} faults", faults.len())?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {}", one(fault)))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The keys whose value cannot be used, with their sections, and what is wrong with each. At most one of a section, but all
    /// of a delivery method.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let sections = [
            ("server", self.server.validate()),
            ("tls", self.tls.validate()),
            ("keys", self.keys.validate()),
            ("log", self.log.validate()),
            ("audit", self.audit.validate()),
            ("cluster", self.cluster.validate(self.server.operators)),
            ("registry", self.registry.validate()),
            ("dispatch", self.dispatch.validate()),
            ("quota", self.quota.validate()),
        ];
        let faults = sections.into_iter().filter_map(|(section, outcome)| {
            outcome.err().map(|(key, why)| (format!("{section}.{key}"), why))
        });
        let delivery = self.ownership.validate().into_iter().map(|error| (error.key, error.why));
        faults.chain(delivery).collect()
    }

    /// The whole configuration as TOML, defaults included.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| Fault::new("configuration", error.to_string()).into())
    }
}

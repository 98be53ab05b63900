//! What the command line takes from the environment. An empty variable counts as unset.

use std::{env, path::PathBuf};

use clap::Args;

use crate::config::{self, Config, ConfigError};

/// Where the configuration comes from.
#[derive(Args)]
pub(super) struct ConfigFile {
    /// The configuration file; without it every key has its default [env: DISPATCHD_CONFIG]
    #[arg(id = "config", long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the configuration from the file named here, or from the one that `DISPATCHD_CONFIG` names.
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        let named = || env::var_os("DISPATCHD_CONFIG").filter(|name| !name.is_empty());
        let file = self.file.clone().or_else(|| named().map(PathBuf::from));
        config::load(file.as_deref(), env::vars_os())
    }
}

/// The value of a variable, unless it is empty or not UTF-8.
pub(super) fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

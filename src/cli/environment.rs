//! What the command line takes from the environment. An empty variable counts as unset.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::config::{self, Config, ConfigError};

/// Where the configuration comes from.
#[derive(Args)]
pub(super) struct ConfigFile {
    /// The configuration file; without it every key has its default [env: DISPATCHD_CONFIG]
    #[arg(long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigFile {
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        load_config(self.file.as_deref())
    }
}

/// Reads the configuration from `file`, or from the file that `DISPATCHD_CONFIG` names.
pub(super) fn load_config(file: Option<&Path>) -> Result<Config, ConfigError> {
    let file = file.map(Path::to_owned).or_else(|| variable("DISPATCHD_CONFIG").map(PathBuf::from));
    config::load(file.as_deref(), env::vars_os())
}

/// The value of a variable, unless it is empty.
pub(super) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

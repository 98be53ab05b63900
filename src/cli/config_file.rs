//! Where the configuration comes from.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use crate::config::{Config, ConfigError};

/// Where the configuration comes from.
#[derive(Args)]
pub(super) struct ConfigFile {
    /// The configuration file; without it every key has its default
    #[arg(long = "config", value_name = "FILE", env = "DISPATCHD_CONFIG")]
    pub(super) file: Option<PathBuf>,
}

impl ConfigFile {
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        crate::config::load(self.file.as_deref(), variables())
    }
}

/// The environment, as far as it is text: what is not is no variable of ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.into_string().ok();
    std::env::vars_os().filter_map(move |(name, value)| Some((text(name)?, text(value)?)))
}

//! `dispatchd config check|show`, and where every command has its configuration from.

use std::{
    env,
    io::{Write as _, stdout},
    path::PathBuf,
    sync::Arc,
};

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::{
    clock::{SharedClock, SystemClock},
    config::{self, Config, ConfigError},
    envelope::KeyFiles,
    files::DataDirectory,
    verification::DeliveryRouter,
};

#[derive(Args)]
pub(super) struct ConfigFile {
    /// The configuration file; without it every key has its default [env: DISPATCHD_CONFIG]
    #[arg(id = "config", long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the configuration from the file named here, or from the one that `DISPATCHD_CONFIG` names. An empty
    /// variable counts as unset.
    pub(super) fn load(&self) -> Result<Config, ConfigError> {
        let named = || env::var_os("DISPATCHD_CONFIG").filter(|name| !name.is_empty());
        let file = self.file.clone().or_else(|| named().map(PathBuf::from));
        config::load(file.as_deref(), env::vars_os())
    }
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the configuration and what it names, and say whether a server could start with it
    Check(ConfigFile),
    /// Print every key with the value in force, as TOML
    Show(ConfigFile),
}

impl ConfigCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check(file) => {
                check(&file.load()?)?;
                writeln!(stdout(), "the configuration is good")?;
            }
            Self::Show(file) => write!(stdout(), "{}", in_force(file.load()?).to_toml()?)?,
        }
        Ok(())
    }
}

/// The configuration with what a key without a value comes to.
fn in_force(mut config: Config) -> Config {
    config.keys.root_key = Some(key_files(&config).root_key);
    config
}

fn key_files(config: &Config) -> KeyFiles {
    KeyFiles::new(&config.server.data.join("keys"), config.keys.root_key.as_deref())
}

/// Finds everything that `serve` would refuse, without changing anything. Addresses are not tried: they may be in use by the
/// server whose configuration this is.
fn check(config: &Config) -> anyhow::Result<()> {
    let data = &config.server.data;
    let clock: SharedClock = Arc::new(SystemClock);
    let mut faults = Vec::new();
    faults.extend(DataDirectory::check_usable(data).err().map(|error| error.to_string()));
    faults.extend(key_files(config).check_directory().err().map(|error| error.to_string()));
    let delivery = DeliveryRouter::check(&config.ownership, &clock);
    faults.extend(delivery.iter().map(ToString::to_string));
    match &*faults {
        [] => Ok(()),
        [fault] => bail!("{fault}"),
        faults => bail!("{} faults\n  {}", faults.len(), faults.join("\n  ")),
    }
}

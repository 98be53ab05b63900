//! `dispatchd config check|show`.

use std::{
    io::{Write as _, stdout},
    sync::Arc,
};

use clap::Subcommand;

use super::environment::ConfigFile;
use crate::{
    clock::{SharedClock, SystemClock},
    config::Config,
    envelope::KeyFiles,
    files::DataDirectory,
    verification::DeliveryRouter,
};

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
            Self::Show(file) => write!(stdout(), "{}", file.load()?.to_toml()?)?,
        }
        Ok(())
    }
}

/// Finds what `serve` would refuse, without changing anything. Addresses are not tried: they may be in use by the server
/// whose configuration this is.
fn check(config: &Config) -> anyhow::Result<()> {
    let data = &config.server.data;
    DataDirectory::check_usable(data)?;
    KeyFiles::new(&data.join("keys"), config.keys.root_key.as_deref()).check_directory()?;
    let clock: SharedClock = Arc::new(SystemClock);
    DeliveryRouter::open(&config.ownership, None, &clock)?;
    Ok(())
}

//! `dispatchd config check|show`.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use clap::Subcommand;

use super::ConfigFile;

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Read the configuration and say whether it can be used
    Check(ConfigFile),
    /// Print every key with the value in force, as TOML
    Show(ConfigFile),
}

impl ConfigCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check(file) => {
                file.load()?;
                writeln!(stdout(), "the configuration is good")?;
            }
            Self::Show(file) => write!(stdout(), "{}", file.load()?.to_toml()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

//! `dispatchd config check|show`, and where every command has its configuration from.

use std::{
    env,
    io::{Write as _, stdout},
    path::PathBuf,
    sync::Arc,
};

use clap::{Args, Subcommand};

use crate::{
    cli::{note::note, terminal::stdout_columns, text::wrap},
    clock::{SharedClock, SystemClock},
    config::{self, Config, ConfigError},
    envelope::KeyFiles,
    files::DataDirectory,
    server::check_tls,
    verification::DeliveryRouter,
};

const GOOD_WITHOUT_FILE: &str =
    "no file given (--config, DISPATCHD_CONFIG); defaults and environment are good\n";

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
        let (config, faults) = self.load_partly()?;
        faults.map_or(Ok(config), Err)
    }

    /// As [`Self::load`], but gives what could be read besides the faults.
    fn load_partly(&self) -> Result<(Config, Option<ConfigError>), ConfigError> {
        let file = self.file();
        if file.is_none() && env::var_os("DISPATCHD_CONFIG").is_some() {
            note!("dispatchd: DISPATCHD_CONFIG is empty, which counts as unset: no file is read");
        }
        config::load_partly(file.as_deref(), env::vars_os())
    }

    fn file(&self) -> Option<PathBuf> {
        self.file.clone().or_else(file_of_environment)
    }

    /// Reads the file that `--config` names, for commands that otherwise need none: a mistyped name is an error everywhere.
    pub(super) fn check_named(&self) -> Result<(), ConfigError> {
        if self.file.is_some() { self.load().map(drop) } else { Ok(()) }
    }
}

/// The file that `DISPATCHD_CONFIG` names.
pub(super) fn file_of_environment() -> Option<PathBuf> {
    env::var_os("DISPATCHD_CONFIG").filter(|name| !name.is_empty()).map(PathBuf::from)
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
                let (config, faults) = file.load_partly()?;
                check(&config, faults.unwrap_or_default())?;
                let verdict = match file.file() {
                    Some(file) => format!("{}: the configuration is good\n", file.display()),
                    None => GOOD_WITHOUT_FILE.to_owned(),
                };
                write!(stdout(), "{}", wrap(&verdict, stdout_columns(), 2))?;
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

/// Finds everything that `serve` would refuse, without changing anything, beside the `faults` of the configuration itself.
/// Addresses are not tried: they may be in use by the server whose configuration this is.
fn check(config: &Config, mut faults: ConfigError) -> Result<(), ConfigError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let data = DataDirectory::check_usable(&config.server.data).err();
    faults.add(data.map(|error| ("server.data".to_owned(), error.to_string())));
    let keys = key_files(config).check_path().err();
    faults.add(keys.map(|error| ("keys.root_key".to_owned(), error.to_string())));
    let delivery = DeliveryRouter::check(&config.ownership, &clock);
    faults.add(delivery.into_iter().map(|error| (error.key, error.why)));
    if let Err(unusable) = check_tls(&config.tls, clock.wall_clock()) {
        faults.add(unusable.faults());
    }
    faults.into_result()
}

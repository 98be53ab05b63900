//! The command line: one file for each command.
//!
//! Commands about the log and the registry work on a running server (its operators' API) or, with `--data DIR`, on the
//! files of a stopped one.
//! `--json` prints one JSON object a line for pipes; without it a table for people.

mod config;
mod demo;
mod filter;
mod flips;
mod lines;
mod log;
mod operator;
mod output;
mod progress;
mod registry;
mod serve;
mod source;

use std::{ffi::OsString, io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError},
    telemetry,
};

/// Exit code of a configuration that cannot be used (`EX_USAGE` of sysexits is 64; clap's own usage errors are 2).
const EXIT_BAD_CONFIG: u8 = 64;
/// Exit code of wrong arguments, as clap's own.
const EXIT_USAGE: u8 = 2;

/// The dispatch directory: is this handle on the messaging service, and which way does the message go?
#[derive(Parser)]
#[command(name = "dispatchd", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT
    Serve(serve::Serve),
    /// Read the query log
    #[command(subcommand)]
    Log(Box<log::Log>),
    /// Move accounts in and out, copy the registry, count what there is
    #[command(subcommand)]
    Registry(Box<registry::Registry>),
    /// Add, list and revoke operators' tokens
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// Where the configuration comes from.
#[derive(Args)]
struct ConfigFile {
    /// The configuration file; without it every key has its default
    #[arg(long = "config", value_name = "FILE", env = "DISPATCHD_CONFIG")]
    file: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, ConfigError> {
        crate::config::load(self.file.as_deref(), variables())
    }
}

/// The environment, as far as it is text: what is not is no variable of ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    let text = |text: OsString| text.into_string().ok();
    std::env::vars_os().filter_map(move |(name, value)| Some((text(name)?, text(value)?)))
}

/// The arguments are in order for clap, but not for the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UsageError(String);

/// Parses the arguments, runs the command and gives the exit code: 0, 1 failed, 2 usage, 64 bad configuration.
#[must_use]
pub fn run() -> ExitCode {
    telemetry::silence_panics();
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Log(log) => log.run(),
        Command::Registry(registry) => registry.run(),
        Command::Operator(operator) => operator.run(),
        Command::Config(config) => config.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dispatchd: {error:#}");
            if error.chain().any(|cause| cause.is::<UsageError>()) {
                return ExitCode::from(EXIT_USAGE);
            }
            let is_config = error.chain().any(|cause| cause.is::<ConfigError>());
            if is_config { ExitCode::from(EXIT_BAD_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

/// The reader of our output went away (`| head`): that is how a pipe ends, not a failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_fit_together() {
        super::Cli::command().debug_assert();
    }
}

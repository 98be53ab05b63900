//! The command line: one file for each command.
//!
//! Commands about the log and the registry work on a running server (its operators' API) or, with `--data DIR`, on the
//! files of a stopped one.
//! `--json` prints one JSON object a line for pipes; without it a table for people.

mod audit;
mod config;
mod demo;
mod environment;
mod filter;
mod interrupt;
mod lines;
mod log;
mod operator;
mod output;
mod progress;
mod registry;
mod serve;
mod source;
mod why;

use std::{io, path::Path, process::ExitCode};

use anyhow::bail;
use clap::{Parser, Subcommand};

use crate::{config::ConfigError, telemetry};

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
    /// See who read the query log
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Say why a handle is blue or green, what led to it, and who still goes by another answer
    Why(Box<why::Why>),
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
        Command::Audit(audit) => audit.run(),
        Command::Why(why) => why.run(),
        Command::Registry(registry) => registry.run(),
        Command::Operator(operator) => operator.run(),
        Command::Config(config) => config.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dispatchd: {}", text_of(&error));
            if error.chain().any(|cause| cause.is::<UsageError>()) {
                return ExitCode::from(EXIT_USAGE);
            }
            let is_config = error.chain().any(|cause| cause.is::<ConfigError>());
            if is_config { ExitCode::from(EXIT_BAD_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}

/// The error and its causes in a line. Many errors end with the text of their cause, which is not repeated.
fn text_of(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Refuses to write over a file unless that was asked for.
fn may_write(path: &Path, force: bool) -> anyhow::Result<()> {
    if !force && path.exists() {
        bail!("{} is there already; --force replaces it", path.display());
    }
    Ok(())
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
    fn no_cause_is_named_twice() {
        let cause = || std::io::Error::other("disk full");
        let plain = anyhow::Error::new(cause()).context("writing a.csv");
        assert_eq!(super::text_of(&plain), "writing a.csv: disk full");
        let quoted = anyhow::Error::new(cause()).context("a.csv: disk full").context("exporting");
        assert_eq!(super::text_of(&quoted), "exporting: a.csv: disk full");
    }

    #[test]
    fn the_arguments_fit_together() {
        super::Cli::command().debug_assert();
    }
}

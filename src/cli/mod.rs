//! The command line: one file for each command.
//!
//! Commands about the log and the registry ask a running server (its operators' API) or, with `--data DIR`, work on the
//! files. Commands that read the log are [requests](crate::api), sent or [run here](crate::reading), with one way of
//! printing. `--json` prints one JSON object a line for pipes; without it a table for people.

mod audit;
mod client;
mod clock;
mod config;
mod demo;
mod errors;
mod log;
mod note;
mod operator;
mod output;
mod progress;
mod registry;
mod serve;
mod source;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::telemetry;

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
    /// See whether the server believes the machine's clock, or say that it is right
    #[command(subcommand)]
    Clock(Box<clock::Clock>),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// Parses the arguments, runs the command and gives the exit code: 0, 1 failed, 2 usage, 64 bad configuration.
pub fn run() -> ExitCode {
    telemetry::silence_panics();
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => return serve.run().unwrap_or_else(|error| errors::report(&error)),
        Command::Log(log) => log.run(),
        Command::Audit(audit) => audit.run(),
        Command::Why(why) => why.run(),
        Command::Registry(registry) => registry.run(),
        Command::Operator(operator) => operator.run(),
        Command::Clock(clock) => clock.run(),
        Command::Config(config) => config.run(),
    };
    outcome.map_or_else(|error| errors::report(&error), |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_fit_together() {
        super::Cli::command().debug_assert();
    }
}

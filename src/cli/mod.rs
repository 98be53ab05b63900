//! The command line: one file for each command.
//!
//! Commands about the log and the registry ask a running server (its operators' API) or, with `--data DIR`, work on the
//! files. Commands that read the log are [requests](crate::api), sent or [run here](crate::reading), with one way of
//! printing. `--json` prints one JSON object a line for pipes; without it a table for people.

mod address;
mod answers;
mod ask;
mod audit;
mod client;
mod clock;
mod cluster;
mod completions;
mod config;
mod demo;
mod doctor;
mod errors;
mod examples;
mod help;
mod listener;
mod log;
mod man;
mod note;
mod operator;
mod output;
mod progress;
mod quota;
mod registry;
mod serve;
mod source;
mod tail;
mod target;
mod terminal;
mod text;
mod trust;
mod variables;
mod why;
mod window;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

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
    /// Ask which way messages to handles go, as a phone does
    #[command(after_help = ask::COSTS)]
    Ask(ask::Ask),
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
    /// See which accounts are flagged and what an account has left of its quota, or clear a flag
    #[command(subcommand)]
    Quota(Box<quota::Quota>),
    /// Add, list and revoke operators' tokens
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Begin a cluster of several machines, join one, see its members, leave it, rebuild its log
    #[command(subcommand)]
    Cluster(Box<cluster::Cluster>),
    /// See whether the server believes the machine's clock, or say that it is right
    #[command(subcommand)]
    Clock(Box<clock::Clock>),
    /// Check the deployment. Exit code 1 if anything is wrong
    #[command(after_help = doctor::checks())]
    Doctor(doctor::Doctor),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a script that completes commands, options and values in a shell
    Completions(completions::Completions),
    /// Write the man pages
    Man(man::ManPages),
}

/// The command line with all of its commands, options and texts, and with examples of each command.
pub fn command() -> clap::Command {
    examples::add(help::with_hints(Cli::command()), "")
}

/// Parses the arguments, runs the command and gives the exit code: 0, 1 failed, 2 usage, 64 bad configuration.
pub fn run() -> ExitCode {
    telemetry::silence_panics();
    let mut arguments = command();
    if terminal::refuses_colour() {
        // The library of the help would colour it for a dumb terminal where the variable CI is set.
        arguments = arguments.color(clap::ColorChoice::Never);
    }
    let matches = arguments.try_get_matches().unwrap_or_else(|error| help::exit(error));
    let command_line = Cli::from_arg_matches(&matches).unwrap_or_else(|error| help::exit(error));
    match command_line.command {
        // A shell runs these at each start.
        Command::Completions(_) | Command::Man(_) => {}
        // These name each fault of the configuration at once.
        Command::Serve(_) | Command::Config(_) => variables::name_empty(),
        _ => {
            variables::name_empty();
            if let Err(error) = variables::refuse_wrong(&matches) {
                return errors::report(&error.into());
            }
        }
    }
    let outcome = match command_line.command {
        Command::Serve(serve) => return serve.run().unwrap_or_else(|error| errors::report(&error)),
        Command::Ask(ask) => ask.run(),
        Command::Log(log) => log.run(),
        Command::Audit(audit) => audit.run(),
        Command::Why(why) => why.run(),
        Command::Registry(registry) => registry.run(),
        Command::Quota(quota) => quota.run(),
        Command::Operator(operator) => operator.run(),
        Command::Cluster(cluster) => cluster.run(),
        Command::Clock(clock) => clock.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Config(config) => config.run(),
        Command::Completions(completions) => completions.run(command()),
        Command::Man(pages) => pages.run(help::with_hints(Cli::command())),
    };
    outcome.map_or_else(|error| errors::report(&error), |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        command().debug_assert();
    }

    /// The words of every command.
    fn commands(command: &clap::Command, words: &str, found: &mut Vec<String>) {
        found.push(words.to_owned());
        for below in command.get_subcommands() {
            commands(below, &examples::below(words, below.get_name()), found);
        }
    }

    /// The arguments of an example, as a shell splits them: quotes, redirections, pipes, variables before the command.
    fn arguments(line: &str) -> Vec<String> {
        let line = line.strip_prefix("source <(").map_or(line, |rest| rest.trim_end_matches(')'));
        let line = line.split(" > ").next().unwrap().split(" | ").next().unwrap();
        let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
        for c in line.chars().chain([' ']) {
            match c {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        let program = words.iter().position(|word| word == "dispatchd").unwrap();
        words.split_off(program)
    }

    #[test]
    fn every_command_has_examples_that_the_parser_takes() {
        let mut found = Vec::new();
        commands(&Cli::command(), "", &mut found);
        for words in &found {
            assert!(!examples::of(words).is_empty(), "`dispatchd {words}` has no example");
        }
        for (words, examples) in examples::all() {
            assert!(found.contains(&(*words).to_owned()), "there is no `dispatchd {words}`");
            for (_, line) in *examples {
                let parsed = Cli::try_parse_from(arguments(line));
                assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
                assert!(line.contains(&format!("dispatchd {words}")), "{line}");
            }
        }
    }
}

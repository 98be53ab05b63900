//! How a command that fails ends.

use std::{io, process::ExitCode};

use crate::cli::note::note;
use crate::{api::Invalid, config::ConfigError, reading::ReadingError};

/// Exit code of wrong arguments, as clap's own.
const EXIT_USAGE: u8 = 2;
/// Exit code of a configuration that cannot be used (`EX_USAGE` of sysexits).
const EXIT_BAD_CONFIG: u8 = 64;
/// Exit code of a command that was interrupted: 128 and the signal's number, as shells have it.
pub(super) const EXIT_INTERRUPTED: u8 = 130;

/// The parameters of the API that are options of every command that takes them. `handle` is an argument of some.
const PARAMETERS: &[&str] = &[
    "account", "at", "case", "device", "ip", "kind", "limit", "min", "operator", "order", "reason",
    "region", "route", "since", "until",
];

/// The arguments are in order for clap, but not for the command.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// The command was interrupted. What was printed is counted in the audit log.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(super) struct Interrupted;

/// Says what went wrong, and gives the exit code: 1 failed, 2 usage, 64 bad configuration.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        return EXIT_INTERRUPTED.into();
    }
    if is_output_closed(error) {
        return ExitCode::SUCCESS;
    }
    let is_usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<UsageError>()
            || cause.is::<Invalid>()
            || matches!(cause.downcast_ref(), Some(ReadingError::Invalid(_)))
    };
    let (text, is_usage) = (describe(error), error.chain().any(is_usage));
    note!("dispatchd: {}", if is_usage { as_options(&text) } else { text });
    if is_usage {
        EXIT_USAGE.into()
    } else if error.chain().any(|cause| cause.is::<ConfigError>()) {
        EXIT_BAD_CONFIG.into()
    } else {
        ExitCode::FAILURE
    }
}

/// The text with the API's parameters as options of the command line: `--region`, not `region`.
pub(super) fn as_options(text: &str) -> String {
    let mut text = text.to_owned();
    for name in PARAMETERS {
        text = text.replace(&format!("`{name}`"), &format!("`--{name}`"));
        if text.starts_with(&format!("{name}: ")) {
            text.insert_str(0, "--");
        }
    }
    text
}

/// Whether the reader of our output went away (`| head`): that is how a pipe ends, not a failure. A connection to a server
/// that breaks is one.
fn is_output_closed(error: &anyhow::Error) -> bool {
    let is_broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_broken_pipe) && !error.chain().any(|cause| cause.is::<reqwest::Error>())
}

/// The error and its causes, each once: many errors repeat the text of their cause.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use anyhow::Context as _;

    use super::*;

    #[tokio::test]
    async fn only_our_own_pipe_may_break() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_output_closed(&anyhow::Error::from(broken()).context("printing")));
        let failing = futures_util::stream::iter([Err::<Vec<u8>, _>(broken())]);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let body = reqwest::Body::wrap_stream(failing);
        let sent = reqwest::Client::new().post(server).body(body).send().await;
        let error = anyhow::Error::from(sent.unwrap_err());
        let is_pipe = |it: &io::Error| it.kind() == io::ErrorKind::BrokenPipe;
        assert!(error.chain().any(|it| it.downcast_ref().is_some_and(is_pipe)), "{error:?}");
        assert!(!is_output_closed(&error), "{error:?}");
    }

    #[test]
    fn a_parameter_of_the_api_is_an_option_of_a_command() {
        assert_eq!(as_options("route: \"up\" is not one of a"), "--route: \"up\" is not one of a");
        let window = "the window is empty: `since` (1) must lie before `until` (2)";
        assert_eq!(
            as_options(window),
            "the window is empty: `--since` (1) must lie before `--until` (2)"
        );
        let known = command_options();
        for name in PARAMETERS {
            assert!(known.contains(*name), "{name}");
        }
        assert_eq!(as_options("--server: no URL"), "--server: no URL");
    }

    /// The long options of every command.
    fn command_options() -> BTreeSet<String> {
        fn add(command: &clap::Command, found: &mut BTreeSet<String>) {
            found.extend(command.get_arguments().filter_map(|it| it.get_long()).map(str::to_owned));
            command.get_subcommands().for_each(|below| add(below, found));
        }
        let mut found = BTreeSet::new();
        add(&crate::cli::command(), &mut found);
        found
    }

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("a/b: cannot be written: {source}")]
        struct Repeats {
            source: io::Error,
        }
        let error = Err::<(), _>(Repeats { source: io::Error::other("no space") });
        let error = error.context("exporting").unwrap_err();
        assert_eq!(describe(&error), "exporting: a/b: cannot be written: no space");
    }
}

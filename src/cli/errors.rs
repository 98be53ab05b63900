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
    // The reader of our output went away (`| head`): that is how a pipe ends, not a failure.
    let mut io_errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    if io_errors.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    note!("dispatchd: {}", describe(error));
    let is_usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<UsageError>()
            || cause.is::<Invalid>()
            || matches!(cause.downcast_ref(), Some(ReadingError::Invalid(_)))
    };
    if error.chain().any(is_usage) {
        EXIT_USAGE.into()
    } else if error.chain().any(|cause| cause.is::<ConfigError>()) {
        EXIT_BAD_CONFIG.into()
    } else {
        ExitCode::FAILURE
    }
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
    use anyhow::Context as _;

    use super::*;

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

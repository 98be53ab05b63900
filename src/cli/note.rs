//! Messages to the one who runs a command.

use std::{
    fmt,
    io::{self, Write as _},
};

use super::{
    terminal::stderr_columns,
    text::{counted, visible, wrap},
};
use crate::{query_log::SearchOutcome, reading::Outcome, timeline::MissingNode};

/// Columns by which the second line of a message is indented.
const HANGING: usize = 2;

/// Prints a line on standard error, as `eprintln` does, which panics if nobody can read it. On a terminal a long line
/// wraps at words.
macro_rules! note {
    ($($text:tt)*) => { $crate::cli::note::print(format_args!($($text)*)) };
}

pub(super) use note;

pub(in crate::cli) fn print(text: fmt::Arguments<'_>) {
    let lines: Vec<_> = text.to_string().split('\n').map(visible).collect();
    let text = wrap(&lines.join("\n"), stderr_columns(), HANGING);
    // The command goes on: its exit code says how it ended.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what an answer lacks.
///
/// # Errors
/// If the part of a node is missing: what was printed is not all.
pub(super) fn print_lacks(outcome: &Outcome) -> anyhow::Result<()> {
    print_passed_over(outcome.passed_over);
    print_missing(outcome.missing())
}

/// Says which nodes of a cluster gave no part of an answer, or not all of it.
///
/// # Errors
/// If there is one.
pub(super) fn print_missing(missing: &[MissingNode]) -> anyhow::Result<()> {
    for MissingNode { node, why } in missing {
        note!("dispatchd: the answer lacks the node {node}, or a part of it: {why}");
    }
    match missing.len() {
        0 => Ok(()),
        nodes => {
            anyhow::bail!("the answer is not complete: {} missing", counted(nodes as u64, "node"))
        }
    }
}

/// Says of which nodes `what` is not sound, and which did not tell. `is_sound` is the verdict over all.
///
/// # Errors
/// If it is not sound everywhere.
pub(super) fn check_each(
    what: &str,
    unsound: &[&str],
    missing: &[MissingNode],
    is_sound: bool,
) -> anyhow::Result<()> {
    let missing = print_missing(missing);
    match unsound {
        [] => missing?,
        nodes => anyhow::bail!("{what} is not sound on these nodes: {}", nodes.join(", ")),
    }
    anyhow::ensure!(is_sound, "{what} is not sound");
    Ok(())
}

/// Says what a search could not read.
pub(super) fn print_passed_over(outcome: SearchOutcome) {
    let SearchOutcome { damaged, unreadable_segments } = outcome;
    if damaged > 0 || unreadable_segments > 0 {
        let damaged = counted(damaged, "damaged place");
        let unreadable = counted(unreadable_segments, "unreadable segment");
        note!(
            "dispatchd: {damaged} and {unreadable} were passed over; `dispatchd log verify` says which"
        );
    }
}

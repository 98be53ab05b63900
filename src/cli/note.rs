//! Messages to the one who runs a command.

use std::{
    fmt,
    io::{self, Write as _},
};

use super::{
    terminal::stderr_columns,
    text::{counted, visible, wrap},
};
use crate::{
    api::{MissingNode, NodeFromStore},
    query_log::SearchOutcome,
    reading::Outcome,
};

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
    print_gone(outcome.missing(), &outcome.from_store)
}

/// Says which nodes of a cluster gave no part of an answer, or not all of it, and whose part comes from copies.
///
/// # Errors
/// If there is one whose part may not be complete.
pub(super) fn print_gone(
    missing: &[MissingNode],
    from_store: &[NodeFromStore],
) -> anyhow::Result<()> {
    for MissingNode { node, why } in missing {
        note!("dispatchd: the answer lacks the node {node}, or a part of it: {why}");
    }
    for node in from_store {
        note!("dispatchd: {}", described(node));
    }
    let parts = from_store.iter().filter(|node| !node.complete).count();
    let gaps = [(missing.len(), "missing"), (parts, "from the object store, up to its last copy")];
    let gaps = gaps.into_iter().filter(|(nodes, _)| *nodes > 0);
    let gaps: Vec<_> =
        gaps.map(|(nodes, how)| format!("{} {how}", counted(nodes as u64, "node"))).collect();
    match gaps.as_slice() {
        [] => Ok(()),
        gaps => anyhow::bail!("the answer is not complete: {}", gaps.join(", ")),
    }
}

/// Says how far the copies of a node reach.
pub(super) fn described(node: &NodeFromStore) -> String {
    let NodeFromStore { node, why, until, complete, gaps } = node;
    let reach = match until {
        Some(_) if *complete => "all of its records".to_owned(),
        Some(until) => format!("its records up to {until}"),
        None => "no record, since none can be read,".to_owned(),
    };
    let lost = match gaps.as_slice() {
        [] => String::new(),
        names => format!("; copies are damaged or missing of {}", names.join(", ")),
    };
    let later = if *complete { "" } else { "; what it recorded later is missing" };
    format!("of the node {node} the answer has {reach} from the object store{later}{lost} ({why})")
}

/// As [`print_gone`], of an answer that reads no copies.
pub(super) fn print_missing(missing: &[MissingNode]) -> anyhow::Result<()> {
    print_gone(missing, &[])
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

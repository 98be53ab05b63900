//! The terminal that a command prints on, if it is one: how wide it is, whether it takes colour.
//!
//! Tables, reports and messages are not wider than the terminal. What is to be copied stays whole: a word such as a path or a
//! hash, which then has a line of its own, and a command to paste. JSON, CSV, TOML and scripts are for programs, and stay as
//! they are. A pipe or a file has no width, and nothing is cut or wrapped there, so that scripts get whole values.

use std::{
    env,
    io::{self, IsTerminal},
    os::fd::AsFd,
};

/// Columns of a terminal of unknown width.
const COLUMNS_DEFAULT: usize = 80;
/// A terminal that says it has fewer is treated as if it had this many.
const COLUMNS_MIN: usize = 40;

/// Columns of standard output; none if it is no terminal.
pub(super) fn stdout_columns() -> Option<usize> {
    columns(&io::stdout())
}

/// Columns of standard error; none if it is no terminal.
pub(super) fn stderr_columns() -> Option<usize> {
    columns(&io::stderr())
}

/// What the terminal says, else what `COLUMNS` says.
fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stream).ok();
    let told = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    let named = || env::var("COLUMNS").ok()?.trim().parse().ok();
    Some(told.or_else(named).unwrap_or(COLUMNS_DEFAULT).max(COLUMNS_MIN))
}

/// Whether a stream takes colour: it is a terminal, and nothing refuses colour.
pub(super) fn is_coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !refuses_colour()
}

/// Whether the environment asks for no colour, or names a terminal that knows none.
pub(super) fn refuses_colour() -> bool {
    let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    is_refused || is_dumb
}

//! Messages to the one who runs a command.

/// Prints a line on standard error, as `eprintln` does, which panics if nobody can read it.
macro_rules! note {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        // The command goes on: its exit code says how it ended.
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

pub(super) use note;

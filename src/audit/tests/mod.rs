//! The audit log in a temporary directory, with a clock that tests move.

//! Facts that cannot be read.

use std::fmt::Display;

use crate::api::{Check, Finding};

/// A finding about facts that cannot be read.
pub(super) fn unreadable(check: Check, what: &str, error: &dyn Display) -> Finding {
    let what = format!("{what} cannot be checked: {error}");
    Finding::error(check, what, "run this as the server's user, and repair what the message names")
}

//! What an operator may do, and until when: long answers end with their operator, one operator leaves places to others, calls
//! that give accounts out are audited, readers name cases, and no token is valid that nobody saw. The list of operators is changed by a
//! socket or in the files, and outlives kills and upgrades.

mod adding;
mod cases;
mod former;
mod places;
mod registry_calls;
mod revoking;
mod socket;

use std::path::Path;

use crate::harness::{dispatchd, run};

/// Takes an operator off the list, on the command line.
fn revoke(data: &Path, name: &str) {
    let output = run(dispatchd().args(["operator", "revoke", name, "--data"]).arg(data));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

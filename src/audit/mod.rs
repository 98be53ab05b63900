//! The audit log: who read the query log, when, what they asked for and how many records they were given.
//!
//! ```text
//! begin -> lock, read the last line, append, fdatasync -> records are read and given -> end: how many
//!            |
//!          <data>/audit/0000007-0020780.ndjson    one file a day: its place in the chain, the day since the epoch
//!            |
//!          {"n":41,"at":…,"begin":{"operator":…,"call":…,"filters":…},"prev":…}
//!          {"n":42,"at":…,"end":{"of":41,"records":12,"whole":true},"prev":…}
//! ```
//!
//! - **No record without its entry**: [`Audit::begin`] returns when the entry is durable, and the [`Audited`] it gives
//!   counts what is given out and writes the second entry however the call ends.
//! - **Nothing personal**: handles, addresses, devices and accounts are fingerprints under a key that is derived from an
//!   hour's key of the query log, and die with it. The records themselves are never here.
//! - **A chain**: each line holds the SHA-256 of the line before. `verify` finds a line that was changed, removed or moved.
//!   It cannot detect that the newest lines were cut off, or that the whole chain was made anew: store the hash of its
//!   head elsewhere and compare it. (A running server detects a cut, since it continues from what it wrote.)
//! - **Several writers**: the server, and command lines that read its files. Each append holds the directory's lock and
//!   continues from the last line in the files.
//!
//! # What a crash leaves
//!
//! A crash while a line is written leaves a part of it at the end of the newest file. Nobody was given a record for it.
//! The next append leaves these bytes where they are, begins a line of its own, and notes in it what it found
//! (`"torn":{"bytes":…,"sha256":…}`). So `verify` can distinguish a torn line from a forged one, and the chain continues
//! from the last whole line. An append removes only bytes that it has just failed to write itself.

mod chain;
mod config;
mod entry;
mod files;
mod filters;
mod fingerprint;
#[cfg(feature = "testing")]
pub mod fuzz;
mod listing;
mod log;
mod state;
#[cfg(test)]
mod tests;
mod verify;

pub use chain::AuditError;
pub use config::Config;
pub use entry::{Call, LineHash};
pub use filters::Filters;
pub use fingerprint::{Fingerprint, Noted};
pub use listing::{Listed, Listing, Wanted};
pub use log::{Audit, local_user};
pub use state::Audited;
pub use verify::{AuditFault, FaultPosition, VerifyReport};

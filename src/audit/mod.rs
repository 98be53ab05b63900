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
//! - **A chain**: each line holds the SHA-256 of the line before. A line that was changed, removed or moved is noticed by
//!   `verify`. That the newest lines were cut off, or that somebody made the whole chain anew, only they can notice who
//!   noted the hash of its head elsewhere. (A server that runs meanwhile notices, too: it goes on from what it wrote.)
//! - **Written by several**: the server, and command lines that read its files. Each append holds the directory's lock and
//!   goes on from the last line that is there.
//!
//! # What a crash leaves
//!
//! A crash while a line is written leaves a part of it at the end of the newest file. Nobody was given a record for it.
//! The next append leaves these bytes where they are, begins a line of its own, and says in it what it found
//! (`"torn":{"bytes":…,"sha256":…}`), so that a torn line is told from a forged one, and the chain goes on from the last
//! whole line. Nothing is ever cut off or set aside, but for bytes that this very append has just failed to write.

mod audited;
mod call;
mod chain;
mod config;
mod entry;
mod error;
mod expiry;
mod files;
mod filters;
mod fingerprint;
mod listing;
mod log;
#[cfg(test)]
mod tests;
mod verify;

pub use audited::Audited;
pub use call::Call;
pub use config::Config;
pub use entry::LineHash;
pub use error::AuditError;
pub use expiry::Expired;
pub use filters::Filters;
pub use fingerprint::{Fingerprint, Noted};
pub use listing::{Listed, Listing, Wanted};
pub use log::{Audit, AuditOptions, local_user};
pub use verify::{Fault, FaultPosition, VerifyReport};

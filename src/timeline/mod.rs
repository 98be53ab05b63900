//! Why one handle is blue or green: its changes and lookups in one order, each with its reason in a sentence, and who
//! goes by an answer that is wrong by now.
//!
//! ```text
//! rows of the log, oldest first (read) -> Timeline: what each spelling is known to be (spelling)
//!                                           |-> entries: changes, runs of like lookups (run, sentence)
//!                                           `-> at the end a Summary: the answer, what led to it, who holds another
//! ```
//!
//! The log alone does not hold everything: a check-in, a handle hidden or shown again and what an import brought in are
//! not recorded, and a lease lapses up to a minute before its record. So a lookup counts as evidence beside the changes,
//! and the present comes from the registry where one is at hand; where it is not, the summary says so.
//!
//! Two spellings of one number (`+54…`, `+549…`) are told together: a lookup of one finds the other when only that one
//! is held. A changes' history is short, so it is always read from the beginning of the log, whatever the window: the
//! reason of the first lookup in the window may be older.
//!
//! Memory is bounded: one open run for each kind of answer, and the last answer of each of
//! [`TIMELINE_HOLDERS_MAX`](crate::limits::TIMELINE_HOLDERS_MAX) askers within the time it may be reused.

mod entry;
mod phrasing;
mod question;
mod read;
mod run;
mod spelling;
mod stale_askers;
mod summary;
#[cfg(test)]
mod tests;
mod walk;

pub use entry::{Because, ChangeEntry, Entry, LookupsEntry};
pub use question::{Detail, Question, Reuse};
pub use read::read;
pub use summary::{Holder, Present, Source, Summary};
pub use walk::Timeline;

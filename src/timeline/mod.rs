//! Why one handle is blue or green: its changes and lookups in one order, each with its reason in a sentence, and who
//! goes by an answer that is wrong by now.
//!
//! ```text
//! rows of the logs, in one order (read) -> Timeline: a fold over the changes of each spelling (spelling)
//!                                           |-> entries: changes, runs of like lookups (run, phrasing)
//!                                           `-> at the end a Summary: the answer, what led to it, who holds another
//! ```
//!
//! In a cluster each node has a log of its own. [`interleave`] makes one history of them, which is exact whatever the nodes' clocks.
//! [`align()`] does the same for what nodes hand over of many handles.
//!
//! Changes are facts, and where the log holds the change by which a claim began they tell everything. An answer counts
//! as evidence only where it contradicts them. That happens in three cases:
//!
//! - the claim began before what the log still holds, or a large import brought the handle in, which is one record
//!   without a handle (see [`IMPORT_CHANGES_RECORDED_MAX`](crate::limits::IMPORT_CHANGES_RECORDED_MAX));
//! - a lease has lapsed, and its record follows within a minute;
//! - the record of a change is damaged.
//!
//! A summary from the log says "as far as the log shows" if the log does not hold the beginning. The present comes from
//! the registry where one is at hand.
//!
//! Two spellings of one number (`+54…`, `+549…`) have one timeline: a lookup of one finds the other when only that one is
//! held. Changes are always read from the beginning of the log, whatever the window: the reason of the first lookup in
//! the window may be older.
//!
//! Memory is bounded: one open run for each kind of answer, and the last answer of each of
//! [`TIMELINE_HOLDERS_MAX`](crate::limits::TIMELINE_HOLDERS_MAX) askers within the time it may be reused.

mod align;
mod change_order;
mod entry;
mod interleave;
mod node_log;
mod nodes;
mod phrasing;
mod question;
mod read;
mod run;
mod spelling;
mod stale_askers;
mod summary;
#[cfg(test)]
mod tests;
mod verdict;
mod walk;

pub use align::align;
pub use entry::{ChangeEntry, ChangeRef, Entry, LookupsEntry};
pub use interleave::Aligned;
pub use node_log::{IsOver, NodeLog, NodeLogError, NodeRows, OwnLog};
pub use nodes::Logs;
pub use question::{Detail, Question};
pub use read::read;
pub use summary::{Holder, Source, Summary, SummaryKind};
pub use walk::Timeline;

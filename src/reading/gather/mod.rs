//! Answers over all nodes of a cluster: this node asks the others for their parts, and merges them.
//!
//! ```text
//! other nodes ── HTTP, line by line ──> NodeAnswer ─┬──> Merge ── without doubles ──> client
//! own log ─────────────────────────────> Search ────┤
//! copies of lost nodes ────────────────> LostPart ──┘
//! ```
//!
//! The thread that gives rows to the client pulls them out of the parts. What it does not pull stays in the buffers of the connections, and
//! then the other node waits, also for long: its connection is told so by `http::connection`. So memory does not grow with the answer.
//!
//! An other node is asked with the scope `node`, in the name of the operator who asked this one: it notes both in its own audit log. A node
//! whose part is missing is named in the [`Outcome`](super::Outcome). [`AskedNode`] is the one place that asks.
//!
//! A node may be gone, or go in the middle. If its log is copied to an object store, this node reads the copies with the keys that it holds.
//! A search, a timeline or a count of flips goes on behind the last row that came. An export reads copies only if no row came.
//! The copies of a removed node are read from the beginning. Such a node is named, too, with how far its copies reach.
//!
//! A timeline merges the rows otherwise: [`OtherLog`] gives it those of one node. Flips come handle by handle: [`GatheredFlips`].
//! Reports, lists of segments and the audit logs have no doubles.

mod asked_node;
mod audit;
mod export;
mod flips;
mod lost_part;
mod merge;
mod node_answer;
mod node_flips;
mod node_log;
mod node_part;
mod node_search;
mod own_rows;
mod part_rows;
mod reports;
mod search;
mod segments;
mod tail;
#[cfg(test)]
mod tests;

pub(super) use asked_node::AskedNode;
pub(super) use audit::{OwnCalls, list_calls};
pub(super) use export::GatheredExport;
pub(super) use flips::GatheredFlips;
pub(super) use node_log::OtherLog;
pub(super) use reports::reports;
pub(super) use search::{GatheredSearch, Question};
pub(super) use segments::list_segments;
pub use tail::Told;
pub(super) use tail::{Doubles, NodeTails};

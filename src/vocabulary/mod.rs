//! The enums that the registry, the log, the timeline and the edge share. No module has an enum of its own for the same
//! set.
//!
//! A case has a *code* (JSON, command line, API) and a *number* (disk). Both are stable; a number is never reused. The
//! macro [`codes!`](codes!) makes an enum with both ways to read them.
//!
//! # To add a case
//!
//! Add its line. The compiler names the matches without a wildcard, such as `timeline/phrasing.rs`: `what`. It does not
//! name these places:
//!
//! - matches with `_` or `matches!`; search for a case that is like the new one, such as `HandleHidden`;
//! - the pages in `docs/reference`, which are made from the cases and their comments;
//! - the words that tests expect: `timeline/tests/sentences.rs`;
//! - for a change: the command that records it (`registry/commands/`), the random operations (`registry/tests/model/`),
//!   and the rules of flips (`query_log/flips/rules.rs`).
//!
//! The title of a problem is free text. Tests pin a few titles in `timeline/tests/sentences.rs` only.

mod change;
mod codes;
mod flag;
mod likeness;
mod limit;
mod lookup;
mod missing_node;
mod problem;

pub use change::{Cause, Change, ChangeKind, Platform};
pub(crate) use codes::{CodeVisitor, code_json, code_schema, codes};
pub use flag::FlagReason;
pub use likeness::most_like;
pub use limit::{Limit, QuotaLimit};
pub use lookup::{HandleLoss, Reason, Route, Together};
pub use missing_node::MissingNode;
pub use problem::{ProblemCode, Retry};

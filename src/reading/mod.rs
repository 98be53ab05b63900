//! Reading the query log and the audit log: each of the operators' calls once, for the API and for the command line.
//!
//! ```text
//! API: GET, query ─┐                                       ┌─ rows as they are read ─> NDJSON, events ─> client
//!                  ├─> request ─> noted in the audit log ─> read
//! CLI: arguments ──┘   (api)      (Records)                └─ a report, a page ─────> JSON, table
//! ```
//!
//! A [`Records`] gives a reader of records only together with the entry that says who reads what, so a call that is not
//! audited does not compile. Rows are handed on one by one: memory does not grow with the answer.
//!
//! On a node of a cluster a call is answered over all nodes: [`gather`] asks the others.

mod call;
mod gather;
mod log;
mod outcome;
mod records;
mod tail;
mod why;

pub use call::{Answer, Given, Reading, Rows, Stop};
pub use gather::Told;
pub use outcome::{DAMAGED, FROM_STORE, MISSING, Outcome, RECORDS, UNREADABLE_SEGMENTS};
pub use records::{DataFiles, ReadingError, Records};
pub use tail::{Follower, follow};

//! The query log.

mod record;

pub use record::{Cause, ChangeKind, ChangeRecord, LogRow, LookupRecord, Reason, Record, Route};

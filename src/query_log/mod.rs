//! The query log: every query and every registry change, readable for 30 days and by nobody after that.
//!
//! ```text
//! append -> pending (one mutex, no I/O) -> commit: frames, sealed, one write, [fdatasync] -> tickets resolve -> answers
//!                                             |
//!                    <data>/log/0000498728-000001.frames    one hour, one file for each start of the process
//!                                             |
//!                    sealing, once the hour is over: sorted by handle, Parquet in encrypted chunks, checked, then the frames go
//!                                             |
//!                    <data>/log/0000498728-000001.sealed
//!                                             |
//!                    search, tail, segments, verify (own file handles; only as far as committed)
//!                                             |
//!                    retention: key of the hour destroyed, root key changed, files unlinked
//! ```
//!
//! - **No answer without its record**: a [`Ticket`] resolves when its record is as durable as configured.
//! - **30 days means 30 days**: every read is clamped to the window, and forgetting destroys keys.
//! - **Corruption never becomes deletion**: what cannot be read is reported and kept until its hour expires.

mod ahead;
mod alarm;
mod catalog;
mod codec;
mod committer;
mod config;
mod cursor;
mod engine;
mod filter;
mod flips;
mod flusher;
mod forgotten;
mod inspect;
mod json;
mod log;
mod log_time;
mod pending;
mod reader;
mod record;
mod recovery;
mod recovery_sealed;
mod retention;
mod row_view;
mod sealed;
mod sealed_file;
mod sealing;
mod search;
mod segment_file;
mod segment_name;
mod segment_reader;
mod segment_rows;
mod summary;
mod tail;
#[cfg(test)]
mod tests;
mod threads;
mod ticket;
mod verify;
mod verify_sealed;
mod walk;

pub use catalog::SegmentState;
pub use config::{Config, Durability};
pub use cursor::{Cursor, CursorError};
pub use filter::{Filter, IpPrefix, IpPrefixError, Kind};
pub use flips::{Flip, FlipQuery, FlipReport, FlipSummary, Likely, RegistryCount, RouteChange};
pub use forgotten::{Finding, ForgottenError, ForgottenReport};
pub use json::JsonError;
pub use log::{LogOptions, QueryLog};
pub use reader::LogReader;
pub use record::{Cause, ChangeKind, ChangeRecord, LogRow, LookupRecord, Reason, Record, Route};
pub use recovery::{OpenError, RecoveryReport};
pub use retention::RetentionOutcome;
pub use sealing::{SealError, SealOutcome};
pub use search::{Order, ReadError, Search, SearchOutcome};
pub use segment_name::SegmentId;
pub use summary::SegmentSummary;
pub use tail::{Tail, TailPosition};
pub use ticket::{AppendError, Ticket};
pub use verify::{KeyState, SegmentReport, VerifyReport};
pub use verify_sealed::ChainReport;
pub use walk::Walk;

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
//! - **No answer without its record**: a [`AppendAck`] resolves when its record is as durable as configured.
//! - **30 days means 30 days**: every read is clamped to the window, and forgetting destroys keys.
//! - **Corruption never becomes deletion**: what cannot be read is reported and kept until its hour expires.
//!
//! # Parts
//!
//! | part | what it is for |
//! | --- | --- |
//! | `record`, `json`, `filter`, `cursor`, `segment_name` | what a record is, how it is told, asked for and named |
//! | `catalog`, `log_time` | the files there are; the log's own time |
//! | [`frames`] | a segment as it is written: records as bytes, group commit, tickets |
//! | [`engine`], [`recovery`] | what drives commits; what a start finds |
//! | [`segment`] | a sealed segment as bytes: Parquet, by handle; knows no file |
//! | [`sealer`] | from frames to a sealed file, and that file's chain |
//! | [`search`] | rows in the order of time, in the order of storage, as they come |
//! | [`flips`] | handles whose route went back and forth |
//! | [`verify`] | what is damaged, missing, or not forgotten |
//! | `retention`, `summary` | forgetting; what an operator sees of a segment |
//! | `log`, `reader` | the writing and the reading side, as the rest of the service holds them |

mod catalog;
mod config;
mod cursor;
mod engine;
mod filter;
mod flips;
mod frames;
mod json;
mod log;
mod log_clock;
mod reader;
mod record;
mod recovery;
mod retention;
mod sealer;
mod search;
mod segment;
mod segment_name;
mod summary;
#[cfg(test)]
mod tests;
mod verify;

pub use catalog::SegmentState;
pub use config::{Config, Durability};
pub use cursor::{Cursor, CursorError};
pub use filter::{Filter, Kind, Network, NetworkError};
pub use flips::{Flip, FlipQuery, FlipReport, FlipSummary, Likely, RegistryCount, RouteChange};
pub use frames::append_ack::{AppendAck, AppendError};
pub use json::JsonError;
pub use log::{LogOptions, QueryLog};
pub use reader::LogReader;
pub use record::{LogRow, LookupRecord, Record};
pub use recovery::{OpenError, RecoveryReport};
pub use retention::RetentionOutcome;
pub use sealer::{SealError, SealOutcome};
pub use search::tail::{Tail, TailPosition};
pub use search::walk::Walk;
pub use search::{Order, ReadError, Search, SearchOutcome};
pub use segment_name::SegmentId;
pub use summary::SegmentSummary;
pub use verify::forgotten::{Finding, FindingKind, ForgottenError, ForgottenReport};
pub use verify::verify_sealed::ChainReport;
pub use verify::{KeyState, SegmentReport, VerifyReport};

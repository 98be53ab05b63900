//! The query log: every lookup and every registry change, readable for 30 days and by nobody afterwards.
//!
//! ```text
//! append -> pending buffer (one mutex, no I/O) -> commit: encrypt frames, one write, [fdatasync] -> resolve acks -> answers
//!                                             |
//!                    <data>/log/0000498728-000001.frames    one hour; a new file after each start of the process
//!                                             |
//!                    sealer, after the hour: sort by handle, write Parquet in encrypted chunks, read back, remove the frames
//!                                             |
//!                    <data>/log/0000498728-000001.sealed
//!                                             |
//!                    search, tail, segments, verify (own file handles; they read only what is committed)
//!                                             |
//!                    retention: destroy the hour's key, change the root key, unlink the files
//! ```
//!
//! - **No answer without its record**: an [`AppendAck`] resolves when its record is as durable as configured.
//! - **30 days means 30 days**: every read drops expired rows, and retention destroys keys.
//! - **Corruption never becomes deletion**: the log reports unreadable files and keeps them until their hour expires.
//!
//! # Parts
//!
//! | part | purpose |
//! | --- | --- |
//! | `record`, `json`, `filter`, `cursor`, `segment_name` | what a record is, how it is printed, filtered, ordered and named |
//! | `catalog`, `log_clock` | the files of the log; the log's own time |
//! | [`frames`] | a segment while it is written: record encoding, group commit, acknowledgements |
//! | [`engine`], [`recovery`] | the commit thread; repair at start |
//! | [`segment`] | the format of a sealed segment: Parquet sorted by handle. It opens no file |
//! | [`sealer`] | turns frames into a sealed file and links the sealed files to a chain |
//! | [`search`] | rows by time, rows in storage order, rows as they are committed |
//! | [`flips`] | handles whose route changed back and forth |
//! | [`verify`] | damaged, missing and expired files |
//! | `retention` | expiry |
//! | [`copies`], `fetch` | copies in an object store, and back |
//! | [`lost`] | the log of a lost node, read from its copies |
//! | `durations`, `figures`, `volume` | what metrics show; bytes on the disk |
//! | `log`, `reader` | the writing and the reading side, as other modules use them |

mod catalog;
mod config;
mod copies;
mod cursor;
mod durations;
mod engine;
mod fetch;
mod figures;
mod filter;
mod flips;
mod frames;
#[cfg(feature = "testing")]
pub mod fuzz;
mod json;
mod log;
mod log_clock;
mod lost;
mod reader;
mod record;
mod recovery;
mod retention;
mod sealer;
mod search;
mod segment;
mod segment_error;
mod segment_name;
#[cfg(test)]
pub(crate) mod tests;
mod verify;
mod volume;

pub use catalog::SegmentState;
pub use config::{Config, Durability};
pub use copies::{CopyFigures, CopyOptions, MayCopy, OpenStore};
pub use cursor::{Cursor, CursorError};
pub use durations::LogDurations;
pub use fetch::{FetchError, FetchReport};
pub use figures::LogAges;
pub use filter::{Filter, Kind, Network, NetworkError, Order};
pub use flips::{
    Findings as FlipFindings, Flip, FlipChange, FlipPart, FlipQuery, FlipReport, FlipRun, FlipStep,
    FlipSummary, FlipWindow, FlipsRead, Likely, LikelyCount, RegistryCount, RouteChange,
};
pub use frames::append_ack::{AppendAck, AppendError};
pub use log::{LogOptions, QueryLog};
pub use lost::{FromCopies, LostFlips, LostLog, LostLogError, LostLogs, LostRows, NodeFromStore};
pub use reader::{LogReader, SegmentSummary};
pub use record::{LogRow, LookupRecord, Record, RefusalCount};
pub use recovery::{OpenError, RecoveryReport};
pub use retention::RetentionOutcome;
pub use sealer::SealOutcome;
pub use search::tail::{Tail, TailPosition};
pub use search::walk::Walk;
pub use search::{ReadError, Search, SearchOutcome};
pub use segment_error::SealError;
pub use segment_name::SegmentId;
pub use verify::forgotten::{Finding, ForgottenError, ForgottenKind, ForgottenReport};
pub use verify::{ChainReport, KeyState, SegmentReport, VerifyReport};
pub use volume::bytes_by_hour;

#[cfg(test)]
pub(crate) use flips::tests as flips_tests;

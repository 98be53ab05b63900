//! The log of a lost node, read from its copies in the object store with keys that this machine holds.
//!
//! ```text
//! a question ─> LostLogs ─> list the node's objects            at most once a minute
//!                  │
//!                  ├─> LostRows: hour by hour, in the order asked for
//!                  └─> LostFlips: all hours, once for each range of handles
//!                         fetch the hour into <data>/lost/N/   encrypted, as it lies in the store
//!                         open it with the node's keyring, and read it as this machine's own log is read
//! ```
//!
//! - The disk holds one hour of each lost node for each question that runs, and fetched hours of at most [`LOST_LOG_KEPT_BYTES`](crate::limits::LOST_LOG_KEPT_BYTES)
//!   for the next question. They go after ten minutes, with their key, when the server stops, and when it starts.
//! - The keys stay in the keyring of the node's hours. Once an hour's key is destroyed, what was fetched of it opens nothing.
//! - An object that is gone or damaged is counted as a damaged place, and its segment is named. If all objects of a segment are gone, nothing
//!   tells that there was one, unless its hour has a key and no other segment. Of an hour that has expired nothing is missed.
//! - The object `<node>/stopped` names the last segment of a log that a stop has copied completely. Only such a log counts as whole: an hour
//!   that has its end may have ended by the hour, and the process may have crashed later.
//! - Rows expire by the clock of this machine (`hour_clock`): eras of the other machine's clock mean nothing here.

mod error;
mod fetched;
mod flips;
mod from_store;
mod hour_clock;
mod hours;
mod log;
mod logs;
mod rows;
mod shared;

pub use error::LostLogError;
pub use flips::LostFlips;
pub use from_store::NodeFromStore;
pub use hours::FromCopies;
pub use log::LostLog;
pub use logs::LostLogs;
pub use rows::LostRows;

//! Streams rows of the log. Memory holds a bounded piece of each file of an hour, whatever the size of the result.
//!
//! An hour has one file for each start of the process. A search merges them by (instant, file), in whatever form they are.
//! It keeps no file open between pieces, and it checks each row against the retention when it gives it out: a reader that
//! pauses for a week gets no row that has expired meanwhile.

mod by_time;
mod job;
mod open_hour;
mod prefetch;
mod segment_rows;
pub(crate) mod tail;
pub(crate) mod walk;

pub use by_time::Search;
pub(crate) use job::{Job, Sources};
pub use job::{ReadError, SearchOutcome};

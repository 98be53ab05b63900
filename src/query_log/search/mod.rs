//! Streams rows of the log. Memory holds a bounded piece of each file of an hour, whatever the size of the result.
//!
//! An hour has one file for each start of the process. A search merges them by (instant, file), in whatever form they are.
//! It keeps no file open between pieces, and it checks each row against the retention when it gives it out: a reader that
//! pauses for a week gets no row that has expired meanwhile.
//!
//! | part | purpose |
//! | --- | --- |
//! | `by_time` | [`Search`]: rows in the order of time |
//! | [`walk`] | rows in the order of storage, for readers that want all of them |
//! | [`tail`] | rows as they are committed |
//! | `job`, `open_hour`, `segment_rows` | sources and request of a search; the open files of one hour; the rows of one file |
//! | `prefetch`, `threads` | open the next hours of a long search in the background |

mod by_time;
mod job;
mod open_hour;
mod outcome;
mod prefetch;
mod segment_rows;
pub(crate) mod tail;
mod threads;
pub(crate) mod walk;

pub use by_time::Search;
pub(crate) use job::Sources;
pub use outcome::{ReadError, SearchOutcome};

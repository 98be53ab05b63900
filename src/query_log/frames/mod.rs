//! A segment as it is written: frames of records, one after another, committed for many askers at once.
//!
//! ```text
//! append -> pending (one mutex, no I/O) -> committer: frames, sealed, one write, [fdatasync] -> tickets resolve
//!                                             ^
//!                 flusher (a serving thread, at the end of its turn) or the engine's thread (alarm)
//! ```
//!
//! [`codec`] turns records into what is inside a frame and back, [`row_view`] is a row that is not copied for that,
//! [`segment_file`] writes a file of frames, [`segment_reader`] reads one in either direction.

pub(in crate::query_log) mod append_ack;
pub(in crate::query_log) mod codec;
pub(in crate::query_log) mod committer;
pub(in crate::query_log) mod flusher;
pub(in crate::query_log) mod pending;
pub(in crate::query_log) mod row_view;
pub(in crate::query_log) mod segment_file;
pub(in crate::query_log) mod segment_reader;
pub(in crate::query_log) mod wakeup;

//! A segment while it is written: frames of records, with group commit.
//!
//! ```text
//! append -> pending (one mutex, no I/O) -> committer: encrypt frames, one write, [fdatasync] -> resolve acks
//!                                             ^
//!           flusher (a serving thread, at the end of its turn) or commit thread (waits on the wakeup)
//! ```

pub(crate) mod append_ack;
pub(crate) mod codec;
pub(crate) mod committer;
pub(crate) mod flusher;
pub(crate) mod pending;
pub(crate) mod segment_file;
pub(crate) mod segment_reader;

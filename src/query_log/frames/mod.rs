//! A segment while it is written: frames of records, with group commit.
//!
//! ```text
//! append -> pending (one mutex, no I/O) -> committer: encrypt frames, one write, [fdatasync] -> resolve acks
//!                                             ^
//!           flusher (a serving thread, at the end of its turn) or commit thread (waits on the wakeup)
//! ```
//!
//! | part | purpose |
//! | --- | --- |
//! | [`pending`], [`append_ack`] | the buffer of encoded records; what an append returns |
//! | [`committer`], [`flusher`], [`wakeup`] | one commit; who starts it |
//! | [`codec`], [`row_view`] | records to the content of a frame and back; a borrowed row |
//! | [`segment_file`], [`segment_reader`] | write a file of frames; read one in either direction |

pub(in crate::query_log) mod append_ack;
pub(in crate::query_log) mod codec;
pub(in crate::query_log) mod committer;
pub(in crate::query_log) mod flusher;
pub(in crate::query_log) mod pending;
pub(in crate::query_log) mod row_view;
pub(in crate::query_log) mod segment_file;
pub(in crate::query_log) mod segment_reader;
pub(in crate::query_log) mod wakeup;

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

pub(crate) mod append_ack;
pub(crate) mod codec;
pub(crate) mod committer;
pub(crate) mod flusher;
pub(crate) mod pending;
pub(crate) mod row_view;
pub(crate) mod segment_file;
pub(crate) mod segment_reader;
pub(crate) mod wakeup;

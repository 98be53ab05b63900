//! A segment while it is written: frames of records, with group commit.

pub(crate) mod append_ack;
pub(crate) mod codec;
pub(crate) mod committer;
pub(crate) mod flusher;
pub(crate) mod pending;
pub(crate) mod segment_file;
pub(crate) mod segment_reader;

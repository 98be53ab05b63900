//! Tests of the format of sealed segments, in memory.

mod damage;
pub(in crate::query_log) mod mistake;
mod model;
mod support;
mod writing;

//! Tests of the format of sealed segments, in memory.

mod damage;
pub(crate) mod mistake;
mod model;
pub(super) mod support;
mod writing;

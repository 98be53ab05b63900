//! The codec of sealed segments, in memory.

mod damage;
mod model;
mod support;
mod writing;

//! Tests of the log as a whole.

mod basics;
mod codec;
mod crash;
mod damage;
mod poison;
mod retention;
mod support;

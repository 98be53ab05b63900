//! Tests of the log as a whole.

mod basics;
mod codec;
pub(crate) mod copied;
mod copies;
mod crash;
mod damage;
mod disk_faults;
mod fetch;
mod hangs;
mod lost;
mod model;
mod poison;
mod retention;
mod sealer;
mod sealer_faults;
pub(crate) mod support;

//! Files: how this service writes and replaces them.

mod atomic;

pub use atomic::{AtomicFile, create_dir, remove_leftovers};

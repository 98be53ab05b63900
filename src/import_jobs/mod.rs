//! An import that a running server was given: taken in, then applied in the background while everything else goes on.
//!
//! # Path
//!
//! [`ImportJobs::begin`] → [`Upload`] (arriving, as `accepted.staged.new`) → [`Upload::finish`] (checked, synced, renamed to
//! `accepted.staged`: from here on it is *accepted*) → applied piece by piece through the registry's writer → removed.
//! One at a time. Once it has arrived it does not matter whether its sender is still there.
//!
//! # What a crash leaves behind
//!
//! Before the file is accepted, a part of an upload, which the next start removes; nothing of it was applied. After it,
//! the whole file, and the next start applies it once more from its beginning: each piece is in the registry as a whole
//! or not at all, and an account that is there stays as it is.

mod apply;
mod open;
mod state;
mod upload;

pub use state::{Applied, Ended, ImportJobs};
pub use upload::{AcceptError, Upload, UploadError};

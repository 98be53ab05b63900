//! Imports into a running server: accepted as a whole, then applied in the background while requests are served.
//!
//! # Path
//!
//! 1. [`ImportJobs::begin`] and [`Upload::write`]: the file arrives as `accepted.staged.new`.
//! 2. [`Upload::finish`]: it is checked, synced and renamed to `accepted.staged`. From here on it is *accepted*; its sender may
//!    disconnect.
//! 3. It is applied piece by piece through the registry's writer, and removed.
//!
//! One import at a time.
//!
//! # What a crash leaves
//!
//! Before the file is accepted: a part of an upload, of which nothing was applied. The next start removes it. Afterwards: the
//! complete file, which the next start applies again from its beginning. Each piece is in the registry as a whole or not at
//! all, and an account that exists stays as it is.

mod apply;
mod state;
mod upload;

pub use state::{Applied, Ended, ImportJobs};
pub use upload::{Upload, UploadError};

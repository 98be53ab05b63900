//! The sealer turns a finished segment's frames into one sealed file, then removes the frames.
//!
//! ```text
//! 1  write and sync X.sealing        after a crash the next start removes it; the frames are whole
//! 2  read it back and compare it     every record, the order, the root; on a difference remove X.sealing, keep the frames
//! 3  rename X.sealing to X.sealed, sync the directory
//!                                    crash before the sync: either name. Crash after it: both forms exist; a start removes
//!                                    the frames if X.sealed is whole, opens, and has as many records
//! 4  switch readers to X.sealed
//! 5  unlink X.frames, sync the directory
//! ```
//!
//! The sealer never seals a segment with a damaged frame: the evidence must stay until the hour expires.
//!
//! Steps 3 to 5 and retention exclude each other. If retention destroys the key during steps 1 and 2, the sealer notices it
//! and removes its file. An incomplete file expires with its hour like every other: its key is the hour's key.

mod round;
pub(crate) mod sealed_file;
mod state;

pub use state::SealOutcome;
pub(crate) use state::SealerState;

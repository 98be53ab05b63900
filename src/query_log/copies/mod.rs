//! Copies of the log in an object store, which die with their keys.
//!
//! ```text
//! X.frames   every log.copy_interval: the committed bytes that are not copied yet become an object, as they lie on disk
//! X.sealed   the whole file becomes objects; then the objects of X.frames are deleted
//! an hour    retention destroys its key; then the objects of the hour are deleted
//! ```
//!
//! - The store sees ciphertext only. The keys never leave the machine this way: who fetches copies needs them from elsewhere.
//! - An object is created once and never overwritten. A call whose outcome is unknown is made again: if the object exists with the same
//!   bytes, or the first of them, all is well. If it holds others, the file is copied no further, and the log names the object.
//! - Bytes are synced to the disk before they are copied, also with `durability = "os"`. So the store never holds a record that this
//!   machine has lost in a power cut.
//! - Nothing waits for the store: not commits, answers, sealing or retention. A round of copying holds one object in memory.
//!
//! What a crash leaves: objects of which this process knows nothing any more. The next start lists the store. It also leaves frames beside
//! their complete sealed file; they stay until their hour expires, because nobody can tell whose they are.

mod copier;
mod copying;
mod expiry;
mod figures;
mod forgetting;
pub(super) mod name;
pub(super) mod stored;

pub(crate) use copier::Copies;
pub use copier::{CopyOptions, MayCopy, OpenStore};
pub use figures::CopyFigures;

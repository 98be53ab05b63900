//! Encryption of what lies on disk: frames, chunks, the keyring of hours, the root key that changes.
//!
//! This module knows hours, bytes and keys, and no records: its caller decides what a frame or a chunk holds. A
//! [file of frames](FrameFile) grows and is read from either end; a [chunk file](chunks) is written once and read anywhere. All
//! reading and writing goes through [`files`](crate::files).
//!
//! ```text
//! root.key  --opens-->  keyring {hour -> key}  --HKDF(salt of the file)-->  subkey  --AES-256-GCM-->  frames, chunks
//! ```
//!
//! To destroy an hour, [`Keyring::prune`] writes a new root key and under it a new keyring without that hour, and removes the
//! old root key from the disk. No older copy of the keyring, in any backup, can be opened then.

mod chunks;
mod config;
mod frame;
mod frame_file;
mod header;
mod key_files;
mod keyring;
mod keyring_format;
mod root_key;
#[cfg(test)]
mod tests;

pub use chunks::{ChunkCheck, ChunkFile, ChunkReadError, ChunkReader, ChunkSummary, ChunkWriter};
pub use config::Config;
pub use frame::{FrameHeader, FrameKind, FrameOpener, FrameSealer};
pub use frame_file::{FrameFile, Step};
pub use header::{FILE_HEADER_BYTES, FileError, FileHeader};
pub use key_files::{KeyFiles, KeyringError};
pub use keyring::Keyring;
pub use keyring_format::HourKey;
